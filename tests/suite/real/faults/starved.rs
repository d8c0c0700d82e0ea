//! A process without a free file descriptor: the checks of the process and of the host continue to measure.

use std::{
    fs::{self, File},
    net::UdpSocket,
};

use health_core::{
    Certificate, CheckExt as _, Cpu, Dogstatsd, FileDescriptors, Health, Memory, Reason, SpoolDirectory, Status,
};
use health_tests::{
    certificates::Authority,
    port,
    service::Kind,
    support::{observed, secs, verdict},
    wait::HANG,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Lowers the limit of descriptors to 200 and opens files until it is reached.
fn starve() -> Vec<File> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 200, hard).unwrap();
    let mut files = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(nix::libc::EMFILE));
                return files;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_a_free_descriptor_is_still_measured() {
    let spool = tempfile::tempdir().unwrap();
    fs::write(spool.path().join("a.xml"), "12345").unwrap();
    let chain = spool.path().join("chain.pem");
    let Kind::Tls { chain: pem, .. } = Authority::new().sign("shop.example", -1, 90) else { unreachable!() };
    fs::write(&chain, pem).unwrap();
    let agent = UdpSocket::bind(port::local(0)).unwrap();
    agent.set_read_timeout(Some(HANG)).unwrap();
    let health = Health::builder()
        .check("descriptors", FileDescriptors::new().every(secs(60)))
        .check("memory", Memory::new().warn_above(99.8).fail_above(99.9).every(secs(60)))
        .check("cpu", Cpu::new().warn_above(10_000).every(secs(60)))
        .check("spool", SpoolDirectory::new(spool.path()).every(secs(60)))
        .check("certificate", Certificate::pem_file(&chain).every(secs(1)))
        .start()
        .unwrap();
    let refreshed = async || {
        for name in ["descriptors", "memory", "cpu", "spool", "certificate"] {
            health.refresh(name).await.unwrap();
        }
        health.report()
    };
    let before = refreshed().await;
    assert_eq!(before.status(), Status::Healthy, "{before:?}");
    let dogstatsd = Dogstatsd::udp(agent.local_addr().unwrap()).unwrap();
    let late = FileDescriptors::new().every(secs(60));

    let files = starve();
    // Repeated, because the descriptors that the checks reserve must not be used up.
    for _ in 0..3 {
        let report = refreshed().await;
        let of = |name: &str| report.check(name).unwrap();
        assert_eq!(verdict(of("descriptors")), (Status::Unhealthy, Some(Reason::Threshold)), "{report:?}");
        assert_eq!(observed(of("descriptors"), "used_percent"), 100.0);
        assert_eq!(observed(of("descriptors"), "open"), 200.0);
        for name in ["memory", "cpu", "spool", "certificate"] {
            assert_eq!(verdict(of(name)), (Status::Healthy, None), "{name}: {report:?}");
            assert!(of(name).detail("unread").is_none(), "{name}: {report:?}");
        }
        assert_eq!(of("memory").detail("limit_of"), before.check("memory").unwrap().detail("limit_of"));
        assert_eq!(observed(of("spool"), "files"), 2.0);
    }
    // Changes are still seen, and a new check can measure.
    fs::remove_file(spool.path().join("a.xml")).unwrap();
    assert_eq!(observed(refreshed().await.check("spool").unwrap(), "files"), 1.0);
    health.insert("late", late).unwrap();
    health.refresh("late").await.unwrap();
    assert_eq!(observed(health.report().check("late").unwrap(), "used_percent"), 100.0);
    // A publisher continues to send.
    health.publish(dogstatsd);
    let mut bytes = [0; 2048];
    let length = tokio::task::block_in_place(|| agent.recv(&mut bytes)).unwrap();
    assert!(String::from_utf8_lossy(&bytes[..length]).starts_with("_sc|health.status|2|"));

    drop(files);
    let report = refreshed().await;
    assert_eq!(report.check("descriptors").unwrap().status(), Status::Healthy, "{report:?}");
}
