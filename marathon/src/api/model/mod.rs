//! The v2 JSON as it is on the wire: what bodies hold, and how what the core knows is shown.
//!
//! Core types are never serialised themselves: what a view doesn't name, no client comes to rest on.

pub(crate) mod reader;

pub(crate) mod app;
pub(crate) mod check;
pub(crate) mod constraint;
pub(crate) mod health_check;
pub(crate) mod readiness_check;
pub(crate) mod unbuilt;

pub(crate) mod app_info;
pub(crate) mod app_view;
pub(crate) mod deployment_view;
pub(crate) mod event_view;
pub(crate) mod number;
pub(crate) mod queue_view;
pub(crate) mod task_stats;
pub(crate) mod task_view;
