//! The agent's HTTP side: state, sandboxes, metrics, the operator API.
//!
//! One function from a request to an [`Answer`], so that warp sees a single route and every path
//! gets the same treatment: the prefix `/slave(N)`, a trailing slash and a `.json` are taken away
//! before the path is looked at, as old tools ask for all of these.
//!
//! Start at [`Api::answer`].

mod answer;
mod files;
mod legacy;
mod metrics;
mod model;
mod operator;
mod serve;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use meros_agent_core::Input;
use meros_agent_core::input::Reply;
use meros_agent_core::view::View;
use meros_plugin_api::Plugins;
use meros_plugin_api::authz::{Action, Decision, Object};
use meros_proto::caller::Caller;
use meros_shell::http::{Query, percent_decoded};
use tokio::sync::oneshot;

use crate::host::Host;
use crate::mailbox::Mailbox;
use crate::sandbox::browse::Files;
use crate::work_dir::SANDBOXES;

pub(crate) use answer::Answer;
pub(crate) use serve::{Answers, serve};

/// What requests are answered from.
pub(crate) struct Api {
    host: Arc<Host>,
    inbox: Mailbox,
    plugins: Plugins,
    files: Arc<Files>,
}

/// A request, whole.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) caller: Caller,
}

impl Api {
    pub(crate) fn new(host: Arc<Host>, inbox: impl Into<Mailbox>, plugins: Plugins) -> Self {
        let files = Files::default();
        let sandboxes = host.work_dir.join(SANDBOXES);
        files.attach(&sandboxes.to_string_lossy(), sandboxes.clone());
        Self { host, inbox: inbox.into(), plugins, files: Arc::new(files) }
    }

    /// The answer to a request; never an error, since a caller must get something.
    pub(crate) async fn answer(&self, request: &Request) -> Answer {
        let path = plain(&request.path, self.host.number);
        let reads = matches!(request.method, Method::GET | Method::HEAD);
        match path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["api", "v1"] => self.operator(request),
            ["api", "v1", "executor" | "resource_provider"] => Answer::text(
                StatusCode::NOT_IMPLEMENTED,
                "This agent runs command tasks only: there is no executor API yet",
            ),
            known if legacy::is_endpoint(known) && !reads => {
                let refusal = format!("Expecting 'GET', received '{}'", request.method);
                Answer::text(StatusCode::METHOD_NOT_ALLOWED, refusal).with("allow", "GET, HEAD")
            }
            ["files", "browse"] => self.browse(request).await,
            ["files", "read"] => self.read(request).await,
            ["files", "download"] => self.download(request).await,
            endpoint => self.legacy(endpoint, request).await,
        }
    }

    /// The core's state; the answer to give instead when it has no time.
    async fn view(&self, request: &Request) -> Result<View, Answer> {
        let (sender, receiver) = oneshot::channel();
        // A caller that went away takes no answer.
        let reply = Reply::new(move |view| drop(sender.send(view)));
        let input = Input::View { caller: request.caller.clone(), reply };
        self.inbox.try_send(input).map_err(|refused| {
            Answer::text(StatusCode::SERVICE_UNAVAILABLE, refused.to_string())
        })?;
        receiver.await.map_err(|_| {
            Answer::text(StatusCode::SERVICE_UNAVAILABLE, "The agent is shutting down")
        })
    }

    fn may(&self, request: &Request, action: Action, object: &Object<'_>) -> bool {
        let decision = self.plugins.authorizer.authorize(&request.caller, action, object);
        decision == Decision::Permit
    }
}

impl Request {
    /// A header's text, if it is there once and is text.
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A path's parts without what makes no difference to the agent of this number.
fn plain(path: &str, number: u32) -> Vec<String> {
    let mut parts: Vec<String> =
        path.split('/').filter(|part| !part.is_empty()).map(percent_decoded).collect();
    if parts.first().is_some_and(|first| *first == format!("slave({number})")) {
        parts.remove(0);
    }
    if let Some(last) = parts.last_mut()
        && let Some(bare) = last.strip_suffix(".json")
    {
        *last = bare.to_owned();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_forms_of_a_path_are_one() {
        for path in [
            "/state",
            "/state/",
            "/state.json",
            "/slave(1)/state",
            "/slave%281%29/state.json/",
            "//slave(1)//state",
        ] {
            assert_eq!(plain(path, 1), ["state"], "{path}");
        }
        assert_eq!(plain("/", 1), Vec::<String>::new());
        assert_eq!(plain("/slave(2)/state", 2), ["state"]);
        assert_eq!(plain("/slave(2)/state", 1), ["slave(2)", "state"]);
    }
}
