//! A Nagios of the test's own, with the objects of `examples/deploy`.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    daemon::Daemon,
    program,
    tools::{self, said},
    wait,
};

/// A running Nagios that checks every second.
#[derive(Debug)]
pub struct Nagios {
    _daemon: Daemon,
    /// Last, so that it is removed when nothing runs in it any more.
    directory: TempDir,
}

/// What it knows of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    pub state: String,
    /// The text in front of the numbers.
    pub output: String,
    /// The numbers.
    pub numbers: String,
}

impl Nagios {
    /// Starts one that knows the objects of `examples/deploy` for a service on this port, and these besides.
    ///
    /// # Panics
    ///
    /// It is not installed, does not like them, or does not start.
    #[must_use]
    pub fn watching(port: u16, more: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name).display().to_string();
        let objects = fs::read_to_string(tools::deploy("nagios/health.cfg")).expect("the example");
        let probe = program::built().join("health-probe").display().to_string();
        let objects = objects.replace("!8080", &format!("!{port}")) + more;
        let objects = objects.replace("/usr/local/bin/health-probe", &probe);
        assert!(objects.contains("/usr/bin/mail "), "the operators are told by mail");
        fs::write(at("mail"), format!("#!/bin/sh\n(echo \"$@\"; cat) >>{}\n", at("mails"))).expect("a file");
        fs::set_permissions(at("mail"), fs::Permissions::from_mode(0o755)).expect("a file");
        fs::write(at("objects.cfg"), objects.replace("/usr/bin/mail", &at("mail"))).expect("a file");
        fs::write(at("resource.cfg"), format!("$USER1$={}\n", tools::program("usr/lib/nagios/plugins").display()))
            .expect("a file");
        for folder in ["results", "tmp"] {
            fs::create_dir(at(folder)).expect("a folder");
        }
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().expect("a user");
        let config = format!(
            "cfg_file={}\nresource_file={}\nlog_file={}\nobject_cache_file={}\nprecached_object_file={}\nstatus_file={}\n\
             temp_file={}\ntemp_path={}\ncheck_result_path={}\nlock_file={}\nstate_retention_file={}\nquery_socket={}\n\
             command_file={}\nnagios_user={}\nnagios_group={}\ncheck_external_commands=0\nuse_syslog=0\ninterval_length=1\n\
             status_update_interval=1\nexecute_host_checks=0\nenable_notifications=1\nillegal_macro_output_chars=`~$&|'\"<>\ncheck_for_updates=0\n\
             max_service_check_spread=1\nservice_inter_check_delay_method=n\nretain_state_information=0\n",
            at("objects.cfg"),
            at("resource.cfg"),
            at("log"),
            at("objects.cache"),
            at("objects.precache"),
            at("status.dat"),
            at("tmp/file"),
            at("tmp"),
            at("results"),
            at("lock"),
            at("retention"),
            at("query"),
            at("command"),
            user.name,
            user.gid,
        );
        let file = directory.path().join("nagios.cfg");
        fs::write(&file, config).expect("a file");
        let nagios = tools::program("usr/sbin/nagios4");
        let (code, text) = said(Command::new(&nagios).arg("-v").arg(&file), b"");
        assert_eq!(code, Some(0), "{text}");
        let mut command = Command::new(nagios);
        command.arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut daemon = Daemon::default();
        daemon.start(command, || Path::new(&at("status.dat")).exists());
        Self { _daemon: daemon, directory }
    }

    /// What it knows of a service now.
    #[must_use]
    pub fn knows(&self, service: &str) -> Known {
        let text = fs::read_to_string(self.directory.path().join("status.dat")).unwrap_or_default();
        let mut known = Known::default();
        let wanted = format!("service_description={service}");
        let block = text
            .split("}\n")
            .find(|block| block.contains("servicestatus {") && block.lines().any(|line| line.trim() == wanted));
        for line in block.unwrap_or_default().lines() {
            match line.trim().split_once('=') {
                Some(("current_state", state)) => known.state = state.to_owned(),
                Some(("plugin_output", output)) => known.output = output.to_owned(),
                Some(("performance_data", numbers)) => known.numbers = numbers.to_owned(),
                _ => {}
            }
        }
        known
    }

    /// The mails that the operators were sent.
    #[must_use]
    pub fn mails(&self) -> String {
        fs::read_to_string(self.directory.path().join("mails")).unwrap_or_default()
    }

    /// Waits until a service has this state and something like this output.
    ///
    /// # Panics
    ///
    /// It has not within [`wait::HANG`].
    pub fn says(&self, service: &str, state: &str, output: &str) -> Known {
        let mut last = Known::default();
        wait::until(&format!("{service} is {state} {output:?}"), || {
            last = self.knows(service);
            last.state == state && last.output.contains(output)
        });
        last
    }
}
