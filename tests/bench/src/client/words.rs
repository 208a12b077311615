//! Calls as they go over the wire.

use std::net::SocketAddr;

use meros_proto::v1::scheduler::Call;
use meros_proto::v1::scheduler::call::{Accept, Acknowledge, Decline, Subscribe, Type};
use meros_proto::v1::{self, offer};
use prost::Message;

/// The framework's user; nothing is run by it.
const USER: &str = "root";

/// What every call of a framework has in common.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    /// All of the head but the length.
    head: String,
    framework: v1::FrameworkId,
}

/// A SUBSCRIBE, whole, of a framework that wants no offers until it revives.
pub(crate) fn subscribe(master: SocketAddr, name: &str) -> Vec<u8> {
    let multi_role = v1::framework_info::capability::Type::MultiRole;
    let capability = v1::framework_info::Capability { r#type: Some(multi_role as i32) };
    let info = v1::FrameworkInfo {
        user: Some(USER.to_owned()),
        name: Some(name.to_owned()),
        roles: vec!["*".to_owned()],
        capabilities: vec![capability],
        ..v1::FrameworkInfo::default()
    };
    let call = Call {
        r#type: Some(Type::Subscribe as i32),
        subscribe: Some(Subscribe {
            framework_info: Some(info),
            suppressed_roles: vec!["*".to_owned()],
            ..Subscribe::default()
        }),
        ..Call::default()
    };
    request(&head(master), &call)
}

impl Words {
    /// Of the framework that was given this id, over the stream that was given that one.
    pub(crate) fn new(master: SocketAddr, stream: &str, framework: v1::FrameworkId) -> Self {
        Self { head: format!("{}Mesos-Stream-Id: {stream}\r\n", head(master)), framework }
    }

    /// "Offer me again".
    pub(crate) fn revive(&self) -> Vec<u8> {
        self.call(Type::Revive, Call::default())
    }

    /// "Offer me nothing".
    pub(crate) fn suppress(&self) -> Vec<u8> {
        self.call(Type::Suppress, Call::default())
    }

    /// Launches `tasks` on an offer; the rest of it may come back at once.
    pub(crate) fn accept(&self, offer: v1::OfferId, tasks: Vec<v1::TaskInfo>) -> Vec<u8> {
        let launch = offer::Operation {
            r#type: Some(offer::operation::Type::Launch as i32),
            launch: Some(offer::operation::Launch { task_infos: tasks }),
            ..offer::Operation::default()
        };
        let accept = Accept {
            offer_ids: vec![offer],
            operations: vec![launch],
            filters: Some(v1::Filters { refuse_seconds: Some(0.0) }),
        };
        self.call(Type::Accept, Call { accept: Some(accept), ..Call::default() })
    }

    /// Gives offers back.
    pub(crate) fn decline(&self, offers: Vec<v1::OfferId>) -> Vec<u8> {
        let decline = Decline { offer_ids: offers, ..Decline::default() };
        self.call(Type::Decline, Call { decline: Some(decline), ..Call::default() })
    }

    /// "I have heard this status". `None`: nobody waits for that.
    pub(crate) fn acknowledge(&self, status: v1::TaskStatus) -> Option<Vec<u8>> {
        let acknowledge = Acknowledge {
            uuid: Some(status.uuid?),
            agent_id: status.agent_id,
            task_id: status.task_id,
        };
        let call = Call { acknowledge: Some(acknowledge), ..Call::default() };
        Some(self.call(Type::Acknowledge, call))
    }

    fn call(&self, kind: Type, call: Call) -> Vec<u8> {
        let framework_id = Some(self.framework.clone());
        request(&self.head, &Call { framework_id, r#type: Some(kind as i32), ..call })
    }
}

fn head(master: SocketAddr) -> String {
    format!(
        "POST /api/v1/scheduler HTTP/1.1\r\nHost: {master}\r\n\
         Content-Type: application/x-protobuf\r\nAccept: application/x-protobuf\r\n"
    )
}

fn request(head: &str, call: &Call) -> Vec<u8> {
    let length = call.encoded_len();
    let mut bytes = Vec::with_capacity(head.len() + 32 + length);
    bytes.extend_from_slice(head.as_bytes());
    bytes.extend_from_slice(format!("Content-Length: {length}\r\n\r\n").as_bytes());
    call.encode(&mut bytes).expect("a vector grows");
    bytes
}
