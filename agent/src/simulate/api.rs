//! One listener for all members: `/slave(N)/state` is agent N's `/state`. What names none is the
//! first one's.

use std::sync::Arc;

use http::StatusCode;
use meros_agent_core::Input;
use meros_plugin_api::Plugins;
use meros_shell::http::percent_decoded;
use meros_shell::inbox::Inbox;

use super::herd::Member;
use crate::api::{Answer, Answers, Api, Request};
use crate::host::Host;
use crate::mailbox::Mailbox;

/// The herd's HTTP side.
pub(super) struct HerdApi {
    pub(super) hosts: Vec<Arc<Host>>,
    pub(super) inbox: Inbox<(Member, Input)>,
    pub(super) plugins: Plugins,
}

impl Answers for HerdApi {
    async fn answer(&self, request: &Request) -> Answer {
        let member = match named(&request.path) {
            Some(number) => number.checked_sub(1).map(Member),
            None => Some(Member(0)),
        };
        let found = member.and_then(|member| Some((member, self.hosts.get(member.index())?)));
        let Some((member, host)) = found else {
            let refusal = format!("There are {} agents here", self.hosts.len());
            return Answer::text(StatusCode::NOT_FOUND, refusal);
        };
        let mailbox = Mailbox::Shared(member, self.inbox.clone());
        Api::new(Arc::clone(host), mailbox, self.plugins.clone()).answer(request).await
    }
}

/// The N of a path that begins with `/slave(N)`.
fn named(path: &str) -> Option<u32> {
    let first = path.split('/').find(|part| !part.is_empty())?;
    percent_decoded(first).strip_prefix("slave(")?.strip_suffix(')')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_agent() {
        for (path, number) in [
            ("/slave(7)/state", Some(7)),
            ("//slave%2812%29", Some(12)),
            ("/state", None),
            ("/", None),
            ("/slave(x)/state", None),
            ("/state/slave(1)", None),
        ] {
            assert_eq!(named(path), number, "{path}");
        }
    }
}
