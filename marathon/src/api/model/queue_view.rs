//! The launch queue as it is shown.

use meros_marathon_core::launch_queue::QueueItem;
use meros_marathon_core::offers::explain::{OfferStats, Reject, UnusedOffer};
use meros_proto::attributes::{Attribute, AttributeValue};
use meros_proto::resources::ReservationFormat;
use meros_proto::time::Timestamp;
use meros_proto::v1;
use serde::Serialize;

use super::app_view::AppView;
use super::number::natural;
use super::task_view::{optional_stamp, stamp};

/// What one app has waiting.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueueItemView<'a> {
    app: AppView<'a>,
    count: usize,
    role: &'a str,
    delay: DelayView,
    #[serde(serialize_with = "stamp")]
    since: Timestamp,
    processed_offers_summary: SummaryView,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_unused_offers: Option<Vec<UnusedOfferView<'a>>>,
}

impl<'a> QueueItemView<'a> {
    /// Shows `item` at the moment `now`.
    pub(crate) fn new(item: &'a QueueItem, now: Timestamp, with_offers: bool) -> Self {
        let unused = || item.stats.last_unused.values().map(UnusedOfferView::new).collect();
        let until = item.delay.map_or(now, |delay| delay.until);
        let left_millis = until.as_millis().saturating_sub(now.as_millis());
        Self {
            app: AppView::new(&item.app),
            count: item.count,
            role: &item.app.role,
            delay: DelayView { time_left_seconds: left_millis / 1_000, overdue: left_millis == 0 },
            since: item.since,
            processed_offers_summary: SummaryView::new(&item.stats),
            last_unused_offers: with_offers.then(unused),
        }
    }
}

/// Overdue: nothing delays it but the lack of a suitable offer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DelayView {
    time_left_seconds: u64,
    overdue: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SummaryView {
    processed_offers_count: u64,
    unused_offers_count: u64,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_stamp")]
    last_unused_offer_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_stamp")]
    last_used_offer_at: Option<Timestamp>,
    reject_summary_last_offers: Vec<RejectView>,
    reject_summary_launch_attempt: Vec<RejectView>,
}

impl SummaryView {
    fn new(stats: &OfferStats) -> Self {
        let lines = |funnel: &[Reject]| funnel.iter().map(RejectView::new).collect();
        Self {
            processed_offers_count: stats.processed,
            unused_offers_count: stats.unused,
            last_unused_offer_at: stats.last_unused_at,
            last_used_offer_at: stats.last_used_at,
            reject_summary_last_offers: lines(&stats.last_offers()),
            reject_summary_launch_attempt: lines(&stats.since_start()),
        }
    }
}

#[derive(Serialize)]
struct RejectView {
    reason: &'static str,
    declined: u64,
    processed: u64,
}

impl RejectView {
    fn new(line: &Reject) -> Self {
        Self { reason: line.reason.as_str(), declined: line.declined, processed: line.processed }
    }
}

#[derive(Serialize)]
struct UnusedOfferView<'a> {
    offer: OfferView<'a>,
    reason: Vec<&'static str>,
    #[serde(serialize_with = "stamp")]
    timestamp: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OfferView<'a> {
    id: &'a str,
    hostname: &'a str,
    agent_id: &'a str,
    resources: Vec<ResourceView>,
    attributes: Vec<AttributeView<'a>>,
}

impl<'a> UnusedOfferView<'a> {
    fn new(unused: &'a UnusedOffer) -> Self {
        let offer = &unused.offer;
        let resources = offer.resources.to_protos(ReservationFormat::Legacy);
        Self {
            offer: OfferView {
                id: offer.id.as_str(),
                hostname: &offer.agent.hostname,
                agent_id: offer.agent.id.as_str(),
                resources: resources.into_iter().map(ResourceView::new).collect(),
                attributes: offer.attributes.iter().map(AttributeView::new).collect(),
            },
            reason: unused.reasons.iter().map(|reason| reason.as_str()).collect(),
            timestamp: unused.at,
        }
    }
}

/// A resource, with the one of the three kinds of value that it has.
#[derive(Serialize)]
struct ResourceView {
    name: String,
    role: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scalar: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ranges: Option<Vec<RangeView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Number(#[serde(serialize_with = "natural")] f64);

#[derive(Serialize)]
struct RangeView {
    begin: u64,
    end: u64,
}

impl ResourceView {
    fn new(resource: v1::Resource) -> Self {
        Self {
            role: resource.role().to_owned(),
            name: resource.name.unwrap_or_default(),
            scalar: resource.scalar.and_then(|scalar| scalar.value).map(Number),
            ranges: resource.ranges.map(|ranges| {
                let range = ranges.range.iter();
                range.map(|range| RangeView { begin: range.begin(), end: range.end() }).collect()
            }),
            set: resource.set.map(|set| set.item),
        }
    }
}

/// An attribute, with the one of the three kinds of value that it has.
#[derive(Serialize)]
struct AttributeView<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scalar: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ranges: Option<Vec<RangeView>>,
}

impl<'a> AttributeView<'a> {
    fn new(attribute: &'a Attribute) -> Self {
        let mut view = Self { name: &attribute.name, text: None, scalar: None, ranges: None };
        match &attribute.value {
            AttributeValue::Text(text) => view.text = Some(text),
            AttributeValue::Scalar(scalar) => view.scalar = Some(Number(scalar.as_f64())),
            AttributeValue::Ranges(ranges) => {
                let ranges = ranges.iter();
                view.ranges = Some(
                    ranges
                        .map(|range| RangeView { begin: range.begin(), end: range.end() })
                        .collect(),
                );
            }
        }
        view
    }
}
