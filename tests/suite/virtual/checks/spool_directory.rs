//! The `SpoolDirectory` check, on real directories.

use std::{
    fs::{self, File},
    time::SystemTime,
};

use health_core::{Reason, SpoolDirectory, Status};

use health_tests::support::{checked, invalid, observed, rerun, secs, shown, verdict};

#[tokio::test(start_paused = true)]
async fn files_bytes_and_the_oldest_age_are_observed_and_judged() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let check = SpoolDirectory::new(directory.path())
        .extension("xml")
        .warn_above(2)
        .fail_above(3)
        .fail_bytes_above(1_000)
        .warn_older_than(secs(600));
    let health = checked(check).await;
    let report = shown(&health);
    assert_eq!((report.status(), observed(&report, "files"), observed(&report, "oldest")), (Status::Healthy, 0.0, 0.0));
    // Directories, hidden files and other extensions do not count.
    fs::create_dir(at("done.xml")).unwrap();
    fs::write(at(".hidden.xml"), "x").unwrap();
    fs::write(at("other.txt"), "x").unwrap();
    fs::write(at("a.xml"), "12345").unwrap();
    let report = rerun(&health).await;
    assert_eq!((observed(&report, "files"), observed(&report, "bytes")), (1.0, 5.0));
    let aged = File::options().write(true).open(at("a.xml")).unwrap();
    aged.set_modified(SystemTime::now() - secs(700)).unwrap();
    let report = rerun(&health).await;
    assert_eq!(verdict(&report), (Status::Degraded, Some(Reason::Threshold)));
    assert!((observed(&report, "oldest") - 700.0).abs() < 5.0);
    fs::remove_file(at("a.xml")).unwrap();
    for name in ["b.xml", "c.xml", "d.xml"] {
        fs::write(at(name), "").unwrap();
    }
    assert_eq!(rerun(&health).await.status(), Status::Degraded, "3 files");
    fs::write(at("e.xml"), "").unwrap();
    assert_eq!(rerun(&health).await.status(), Status::Unhealthy, "4 files");
    fs::remove_file(at("e.xml")).unwrap();
    fs::remove_file(at("d.xml")).unwrap();
    assert_eq!(rerun(&health).await.status(), Status::Healthy);
    fs::write(at("b.xml"), vec![0; 1_001]).unwrap();
    assert_eq!(rerun(&health).await.status(), Status::Unhealthy, "too many bytes");
    for (check, expected) in [
        (SpoolDirectory::new(directory.path()).warn_bytes_above(500), Status::Degraded),
        (SpoolDirectory::new(directory.path()).fail_older_than(secs(1)), Status::Healthy),
        (SpoolDirectory::new(directory.path()).warn_below(100), Status::Degraded),
    ] {
        assert_eq!(shown(&checked(check).await).status(), expected);
    }
    let aged = File::options().write(true).open(at("b.xml")).unwrap();
    aged.set_modified(SystemTime::now() - secs(5)).unwrap();
    let health = checked(SpoolDirectory::new(directory.path()).fail_older_than(secs(1))).await;
    assert_eq!(verdict(&shown(&health)), (Status::Unhealthy, Some(Reason::Threshold)));
}

#[tokio::test(start_paused = true)]
async fn an_extension_may_have_several_parts() {
    let directory = tempfile::tempdir().unwrap();
    for name in
        ["a.tar.gz", "b.tar.gz", "c.gz", "tar.gz", ".tar.gz", ".d.tar.gz", "d.TAR.GZ", "e.targz", "f.tar.gz.part"]
    {
        fs::write(directory.path().join(name), "").unwrap();
    }
    for (extension, files) in [("tar.gz", 2.0), ("gz", 4.0), ("GZ", 1.0), ("part", 1.0), ("gz.part", 1.0), ("zip", 0.0)]
    {
        let health = checked(SpoolDirectory::new(directory.path()).extension(extension)).await;
        assert_eq!(observed(&shown(&health), "files"), files, "{extension}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_directory_is_unhealthy() {
    let directory = tempfile::tempdir().unwrap();
    let health = checked(SpoolDirectory::new(directory.path().join("nowhere"))).await;
    assert!(shown(&health).message().unwrap().contains("does not exist"));
    assert_eq!(shown(&health).status(), Status::Unhealthy);
}

#[test]
fn invalid_options_are_refused() {
    assert!(invalid(SpoolDirectory::new("")).contains("name it"));
    for (extension, complaint) in [
        (".xml", "without its dot"),
        ("", "without its dot"),
        ("x/gz", "slash"),
        ("gz\0", "NUL"),
        ("*.xml", "patterns"),
        ("xm?", "patterns"),
        ("{xml,json}", "patterns"),
        (" xml", "spaces"),
        ("xml,json", "one extension"),
    ] {
        let message = invalid(SpoolDirectory::new("/x").extension(extension));
        assert!(message.contains(complaint) && message.contains("matches no file"), "{extension:?}: {message}");
    }
    assert!(invalid(SpoolDirectory::new("/x").warn_above(5).fail_above(5)).contains("less than"));
}
