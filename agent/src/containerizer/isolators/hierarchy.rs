//! Which cgroup hierarchies the host has, and which of them we may make groups in.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::launcher::cgroups;

/// The two interfaces that Linux has had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// Where a controller, or the processes themselves, can be controlled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    pub(super) mount: PathBuf,
}

/// A mounted cgroup file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    version: Version,
    path: PathBuf,
    /// The mount's own options: in v1 the controllers, or `name=systemd`.
    options: Vec<String>,
}

/// The cgroup file systems in the text of `/proc/self/mountinfo`, the last mounted of a path only.
pub(super) fn mounts(mountinfo: &str) -> Vec<Mount> {
    let mut found: Vec<Mount> = Vec::new();
    for line in mountinfo.lines() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let mut after = after.split(' ');
        let version = match after.next() {
            Some("cgroup") => Version::V1,
            Some("cgroup2") => Version::V2,
            _ => continue,
        };
        let Some(path) = before.split(' ').nth(4) else { continue };
        let path = PathBuf::from(unescape(path));
        let options = after.nth(1).unwrap_or_default().split(',').map(str::to_owned).collect();
        found.retain(|mount| mount.path != path);
        found.push(Mount { version, path, options });
    }
    found
}

/// Spaces and the like are octal in that file: `\040`.
fn unescape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let code = after.get(..3).and_then(|octal| u8::from_str_radix(octal, 8).ok());
        match code {
            Some(code) => out.push(char::from(code)),
            None => out.push('\\'),
        }
        rest = if code.is_some() { &after[3..] } else { after };
    }
    out + rest
}

/// Where `controller` is: in a v1 hierarchy, else in the v2 tree if it is free there.
pub(super) fn controller(
    mounts: &[Mount],
    controller: &str,
    instance: &str,
) -> Result<Hierarchy, String> {
    let v1 = mounts.iter().find(|mount| {
        mount.version == Version::V1 && mount.options.iter().any(|option| option == controller)
    });
    if let Some(mount) = v1 {
        return usable(mount, instance);
    }
    let Some(mount) = mounts.iter().find(|mount| mount.version == Version::V2) else {
        return Err(format!("the {controller} controller is not mounted"));
    };
    let free = fs::read_to_string(mount.path.join("cgroup.controllers")).unwrap_or_default();
    if !free.split_ascii_whitespace().any(|name| name == controller) {
        return Err(format!("the {controller} controller is not in the cgroup v2 tree"));
    }
    let hierarchy = usable(mount, instance)?;
    delegate(&mount.path, controller, instance).map_err(|error| {
        format!("the {controller} controller can't be handed down the cgroup v2 tree: {error}")
    })?;
    Ok(hierarchy)
}

/// Lets groups below our instance's have a v2 controller.
fn delegate(mount: &Path, controller: &str, instance: &str) -> io::Result<()> {
    let instance = cgroups::instance_dir(mount, instance);
    let top = instance.parent().unwrap_or(mount);
    for dir in [mount, top, &instance] {
        cgroups::write(&dir.join("cgroup.subtree_control"), format!("+{controller}").as_bytes())?;
    }
    Ok(())
}

/// Where a task's processes are held together: best in the v2 tree, which kills all of a group in
/// one step; else in a v1 hierarchy, best the freezer's.
pub(super) fn tracking(mounts: &[Mount], instance: &str) -> Result<Hierarchy, String> {
    let v2 = mounts.iter().filter(|mount| mount.version == Version::V2);
    for mount in v2 {
        if let Ok(hierarchy) = usable(mount, instance)
            && cgroups::instance_dir(&mount.path, instance).join("cgroup.kill").exists()
        {
            return Ok(hierarchy);
        }
    }
    let mut why = "no cgroup hierarchy is mounted".to_owned();
    for controller in ["freezer", "pids", "cpu", "memory"] {
        let Some(mount) = mounts.iter().find(|mount| {
            mount.version == Version::V1 && mount.options.iter().any(|option| option == controller)
        }) else {
            continue;
        };
        match usable(mount, instance) {
            Ok(hierarchy) => return Ok(hierarchy),
            Err(error) => why = error,
        }
    }
    Err(why)
}

/// The hierarchy by which systemd knows what belongs to which service.
pub(super) fn service_manager(mounts: &[Mount]) -> Option<PathBuf> {
    let named = |mount: &&Mount| mount.options.iter().any(|option| option == "name=systemd");
    mounts.iter().find(named).map(|mount| mount.path.clone())
}

/// Makes the instance's group, to see whether one can.
fn usable(mount: &Mount, instance: &str) -> Result<Hierarchy, String> {
    let dir = cgroups::instance_dir(&mount.path, instance);
    match fs::create_dir_all(&dir) {
        Ok(()) => Ok(Hierarchy { version: mount.version, mount: mount.path.clone() }),
        Err(error) => Err(format!("can't make the cgroup {}: {error}", dir.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn hierarchies_are_told_apart_by_type_and_options() {
        let found = mounts(HYBRID);
        let listed: Vec<_> =
            found.iter().map(|m| (m.version, m.path.to_str().expect("UTF-8"))).collect();
        assert_eq!(
            listed,
            [
                (Version::V1, "/sys/fs/cgroup/cpu,cpuacct"),
                (Version::V1, "/sys/fs/cgroup/memory"),
                (Version::V1, "/sys/fs/cgroup/systemd"),
                (Version::V2, "/sys/fs/cgroup/uni fied"),
            ]
        );
        assert_eq!(found[0].options, ["rw", "cpu", "cpuacct"]);
        assert_eq!(service_manager(&found), Some("/sys/fs/cgroup/systemd".into()));
        assert_eq!(mounts("garbage\n1 2 - \n - cgroup"), []);
    }

    #[test]
    fn a_host_without_cgroups_says_what_is_missing() {
        assert_eq!(
            controller(&[], "memory", "i"),
            Err("the memory controller is not mounted".to_owned())
        );
        assert!(tracking(&[], "i").is_err());
    }

    #[test]
    fn a_controller_is_used_only_where_groups_can_be_made() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mount = |options: &str, path: PathBuf| Mount {
            version: Version::V1,
            path,
            options: options.split(',').map(str::to_owned).collect(),
        };
        let found = controller(&[mount("rw,cpu", dir.path().into())], "cpu", "i");
        assert_eq!(found.expect("it can be written").mount, dir.path());
        assert!(dir.path().join("meros/i").is_dir());
        let nowhere = dir.path().join("file");
        fs::write(&nowhere, "").expect("writable");
        let refused = controller(&[mount("rw,cpu", nowhere)], "cpu", "i").expect_err("a file");
        assert!(refused.starts_with("can't make the cgroup"), "{refused}");
    }
}
