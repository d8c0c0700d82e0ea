//! Programs and formats that read the output of `health`.

mod agent_check;
mod datadog_agent;
mod deploy;
mod dogstatsd;
mod envoy;
mod health_probe;
mod health_tonic;
mod kubernetes;
mod nginx;
mod prometheus;
mod systemd;
mod traefik;
