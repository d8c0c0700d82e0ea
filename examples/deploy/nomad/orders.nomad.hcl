# Readiness decides which instances get traffic and whether a deployment continues. Only liveness restarts a task.
# kill_timeout is the time from SIGTERM to SIGKILL. By default the Nomad client allows at most 30 s: raise
# max_kill_timeout in its configuration.
job "orders" {
  datacenters = ["dc1"]
  type        = "service"

  update {
    max_parallel     = 1
    health_check     = "checks"
    min_healthy_time = "5s"
    healthy_deadline = "2m"
    auto_revert      = true
  }

  group "orders" {
    count = 3

    network {
      port "http" {
        to = 8080
      }
    }

    service {
      name     = "orders"
      port     = "http"
      provider = "consul"

      check {
        name     = "ready"
        type     = "http"
        path     = "/readyz"
        interval = "2s"
        timeout  = "1s"
      }

      check {
        name     = "alive"
        type     = "http"
        path     = "/livez"
        interval = "10s"
        timeout  = "2s"

        check_restart {
          limit           = 3
          grace           = "60s"
          ignore_warnings = false
        }
      }
    }

    task "orders" {
      driver       = "docker"
      kill_signal  = "SIGTERM"
      kill_timeout = "40s"

      config {
        image = "registry.example/orders:1.4.2"
        ports = ["http"]
      }

      env {
        BIND_ADDR     = "0.0.0.0:8080"
        DRAIN_SECONDS = "10"
      }

      resources {
        cpu    = 100
        memory = 128
      }
    }
  }
}
