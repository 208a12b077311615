//! Values of every shape, for the tests of what writes and reads them.

use proptest::{collection::vec, option, prelude::*};

use super::{Credentials, End, Group, Hello, Start};

pub(crate) fn hellos() -> impl Strategy<Value = Hello> {
    (any::<(u32, u32, u64, u32, u32)>(), ".*", ".*", ".*").prop_map(
        |((protocol_min, protocol_max, features, pid, state_format), version, instance, build)| {
            Hello {
                protocol_min,
                protocol_max,
                version,
                features,
                pid,
                instance,
                build,
                state_format,
            }
        },
    )
}

pub(crate) fn blobs() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(any::<Vec<u8>>(), 0..4)
}

pub(crate) fn starts() -> impl Strategy<Value = Start> {
    let user = (any::<(u32, u32)>(), vec(any::<u32>(), 0..4))
        .prop_map(|((uid, gid), groups)| Credentials { uid, gid, groups });
    let group = (any::<Vec<u8>>(), vec(any::<(Vec<u8>, Vec<u8>)>(), 0..3))
        .prop_map(|(dir, settings)| Group { dir, settings });
    (
        (".*", any::<Vec<u8>>(), blobs(), blobs(), any::<Vec<u8>>()),
        (option::of(user), vec(group, 0..3), blobs()),
        (option::of(any::<Vec<u8>>()), any::<u64>(), any::<Vec<u8>>()),
    )
        .prop_map(
            |(
                (container, program, argv, env, sandbox),
                (user, groups, reports),
                (oom_watch, deadline_ms, marker),
            )| Start {
                container,
                program,
                argv,
                env,
                sandbox,
                user,
                groups,
                reports,
                oom_watch,
                deadline_ms,
                marker,
            },
        )
}

pub(crate) fn ends() -> impl Strategy<Value = End> {
    prop_oneof![any::<u8>().prop_map(End::Exit), any::<u8>().prop_map(End::Signal)]
}
