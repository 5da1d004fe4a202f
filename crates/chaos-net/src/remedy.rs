//! Why a host refuses namespaces, and the one line that changes it.
//!
//! The idea: whether something works is decided by *trying* it; the settings read here only explain a refusal that has
//! happened. Refuses to infer a capability from versions or settings. Sources: `user_namespaces(7)`; Ubuntu 24.04
//! release notes (AppArmor); moby's default seccomp profile; `linux/Documentation/admin-guide/sysctl`.

use std::io;
use std::path::Path;

/// What the host's settings say, read only after a refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HostFacts {
    /// `kernel.apparmor_restrict_unprivileged_userns`, where it exists.
    pub(crate) apparmor_restricts: Option<u64>,
    /// `kernel.unprivileged_userns_clone` (Debian's patch), where it exists.
    pub(crate) userns_clone: Option<u64>,
    /// `user.max_user_namespaces`.
    pub(crate) max_user_namespaces: Option<u64>,
    /// A seccomp filter is installed on this process.
    pub(crate) seccomp_filtered: bool,
    /// Docker's or Podman's marker file exists.
    pub(crate) in_container: bool,
    /// The effective uid is 0.
    pub(crate) is_root: bool,
}

impl HostFacts {
    pub(crate) fn read() -> Self {
        let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse().ok();
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            apparmor_restricts: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            userns_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
            max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
            seccomp_filtered: status
                .lines()
                .any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2")),
            in_container: ["/.dockerenv", "/run/.containerenv"].iter().any(|marker| Path::new(marker).exists()),
            is_root: nix::unistd::geteuid().is_root(),
        }
    }
}

/// A refusal in the user's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnosis {
    pub(crate) reason: String,
    pub(crate) remedy: String,
}

const IN_CONTAINER: &str = "start the container with `--cap-add SYS_ADMIN --cap-add NET_ADMIN \
     --security-opt seccomp=unconfined --security-opt apparmor=unconfined` (or `--privileged`)";

/// Explains a refused `unshare` (or the writing of its id maps).
pub(crate) fn for_namespaces(error: &io::Error, facts: &HostFacts) -> Diagnosis {
    let errno = error.raw_os_error().unwrap_or(0);
    let (reason, remedy) = match errno {
        libc::ENOSPC | libc::EUSERS if facts.max_user_namespaces == Some(0) => (
            "user.max_user_namespaces is 0".to_owned(),
            "sudo sysctl -w user.max_user_namespaces=15000, or run as root".to_owned(),
        ),
        libc::ENOSPC | libc::EUSERS => (
            "the limit of namespaces or of their nesting (32) is reached".to_owned(),
            "raise the limits under /proc/sys/user/max_*_namespaces, or end what holds namespaces".to_owned(),
        ),
        libc::EPERM | libc::EACCES => not_permitted(facts),
        libc::EINVAL | libc::ENOSYS => (
            "the kernel was built without one of the namespaces".to_owned(),
            "use a kernel with CONFIG_USER_NS, CONFIG_PID_NS, CONFIG_NET_NS, CONFIG_UTS_NS and CONFIG_IPC_NS"
                .to_owned(),
        ),
        _ => (
            "an error that no known setting explains".to_owned(),
            "run `strace -f` on the same command and report what it shows".to_owned(),
        ),
    };
    Diagnosis { reason, remedy }
}

fn not_permitted(facts: &HostFacts) -> (String, String) {
    if facts.in_container || facts.seccomp_filtered {
        let reason = "a container's seccomp profile or capabilities forbid it";
        return (reason.to_owned(), IN_CONTAINER.to_owned());
    }
    if facts.userns_clone == Some(0) && !facts.is_root {
        let remedy = "sudo sysctl -w kernel.unprivileged_userns_clone=1, or run as root";
        return ("kernel.unprivileged_userns_clone is 0".to_owned(), remedy.to_owned());
    }
    if facts.apparmor_restricts.is_some_and(|value| value != 0) && !facts.is_root {
        return (
            "AppArmor restricts unprivileged user namespaces (Ubuntu 23.10 and later)".to_owned(),
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or run as root (`sudo -E`)".to_owned(),
        );
    }
    if facts.is_root {
        let reason = "root lacks CAP_SYS_ADMIN here";
        return (
            reason.to_owned(),
            format!("give the process CAP_SYS_ADMIN and CAP_NET_ADMIN; in Docker, {IN_CONTAINER}"),
        );
    }
    (
        "a security module, a chroot or a service manager's restriction forbids it".to_owned(),
        "run as root, or outside of the restriction (systemd: RestrictNamespaces=no)".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_known_refusal_names_its_own_remedy() {
        let user = HostFacts { max_user_namespaces: Some(1000), ..HostFacts::default() };
        let cases = [
            (libc::ENOSPC, HostFacts { max_user_namespaces: Some(0), ..user.clone() }, "user.max_user_namespaces="),
            (libc::ENOSPC, user.clone(), "max_*_namespaces"),
            (
                libc::EPERM,
                HostFacts { apparmor_restricts: Some(1), ..user.clone() },
                "apparmor_restrict_unprivileged_userns=0",
            ),
            (libc::EPERM, HostFacts { userns_clone: Some(0), ..user.clone() }, "unprivileged_userns_clone=1"),
            (
                libc::EPERM,
                HostFacts { seccomp_filtered: true, in_container: true, ..user.clone() },
                "seccomp=unconfined",
            ),
            (libc::EPERM, HostFacts { is_root: true, apparmor_restricts: Some(1), ..user.clone() }, "CAP_SYS_ADMIN"),
            (libc::EPERM, HostFacts { apparmor_restricts: Some(0), ..user.clone() }, "RestrictNamespaces"),
            (libc::EINVAL, user, "CONFIG_USER_NS"),
        ];
        for (errno, facts, expected) in cases {
            let diagnosis = for_namespaces(&io::Error::from_raw_os_error(errno), &facts);
            assert!(diagnosis.remedy.contains(expected), "errno {errno}, {facts:?}: {diagnosis:?}");
        }
    }
}
