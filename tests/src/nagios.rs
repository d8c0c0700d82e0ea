//! A Nagios that the test starts with the objects of `examples/deploy`.

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
    /// The last field, so that the directory is removed after Nagios has ended.
    directory: TempDir,
}

/// The state of a service in Nagios.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    pub state: String,
    /// The plugin's text before the performance data.
    pub output: String,
    /// The performance data.
    pub numbers: String,
}

impl Nagios {
    /// Starts a Nagios with the objects of `examples/deploy` for a service on this port, and with additional objects.
    ///
    /// # Panics
    ///
    /// Panics if Nagios is not installed, rejects the objects or does not start.
    #[must_use]
    pub fn watching(port: u16, more: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name).display().to_string();
        let objects = fs::read_to_string(tools::deploy("nagios/health.cfg")).expect("the example");
        let probe = program::built().join("health-probe").display().to_string();
        let objects = objects.replace("!8080", &format!("!{port}")) + more;
        let objects = objects.replace("/usr/local/bin/health-probe", &probe);
        assert!(objects.contains("/usr/bin/mail "), "the example notifies operators with /usr/bin/mail");
        fs::write(at("mail"), format!("#!/bin/sh\n(echo \"$@\"; cat) >>{}\n", at("mails"))).expect("a file");
        fs::set_permissions(at("mail"), fs::Permissions::from_mode(0o755)).expect("a file");
        fs::write(at("objects.cfg"), objects.replace("/usr/bin/mail", &at("mail"))).expect("a file");
        fs::write(at("resource.cfg"), format!("$USER1$={}\n", tools::program("usr/lib/nagios/plugins").display()))
            .expect("a file");
        for folder in ["results", "tmp"] {
            fs::create_dir(at(folder)).expect("a folder");
        }
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().expect("a user with a name");
        let config = format!(
            "cfg_file={}\nresource_file={}\nlog_file={}\nobject_cache_file={}\nprecached_object_file={}\n\
             status_file={}\ntemp_file={}\ntemp_path={}\ncheck_result_path={}\nlock_file={}\nstate_retention_file={}\n\
             query_socket={}\ncommand_file={}\nnagios_user={}\nnagios_group={}\ncheck_external_commands=0\n\
             use_syslog=0\ninterval_length=1\nstatus_update_interval=1\nexecute_host_checks=0\nenable_notifications=1\n\
             illegal_macro_output_chars=`~$&|'\"<>\ncheck_for_updates=0\n\
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

    /// Returns the current state of a service.
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

    /// Returns the mails that Nagios sent to the operators.
    #[must_use]
    pub fn mails(&self) -> String {
        fs::read_to_string(self.directory.path().join("mails")).unwrap_or_default()
    }

    /// Waits until a service has this state and its output contains this text.
    ///
    /// # Panics
    ///
    /// Panics if the service has another state or output after [`wait::HANG`].
    pub fn says(&self, service: &str, state: &str, output: &str) -> Known {
        let mut last = Known::default();
        wait::until(&format!("{service} is {state} {output:?}"), || {
            last = self.knows(service);
            last.state == state && last.output.contains(output)
        });
        last
    }
}
