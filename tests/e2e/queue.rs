//! The launch queue says what waits, since when, and why no offer would do.

use serde_json::{Value, json};

use crate::cluster::Dev;
use crate::http::{list, text};
use crate::marathon::{deploy, sleeper};
use crate::wait::until;

/// The reasons in the order in which offers are looked at.
const FUNNEL: [&str; 10] = [
    "UnfulfilledRole",
    "UnfulfilledConstraint",
    "NoCorrespondingReservationFound",
    "AgentMaintenance",
    "InsufficientCpus",
    "InsufficientMemory",
    "InsufficientDisk",
    "InsufficientGpus",
    "InsufficientPorts",
    "DeclinedScarceResources",
];

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[tokio::test]
async fn an_app_that_fits_nowhere_is_queued_with_every_offer_counted_by_its_first_reason() {
    let dev = Dev::start(&["--agents", "2"]).await;
    dev.is_whole().await;
    deploy(&dev.marathon, &sleeper("/fits", 1)).await;
    let mut app = sleeper("/huge", 3);
    // The first agent is none of the rack; the second is, and too small.
    app["constraints"] = json!([["hostname", "LIKE", "127.0.0.2"]]);
    app["mem"] = json!(1_000_000_000);
    dev.marathon.post("/v2/apps", &app).await.expect(201);
    let item = until("an offer of each agent", async || {
        let queue = dev.marathon.get("/v2/queue?embed=lastUnusedOffers").await;
        let item = queue["queue"][0].clone();
        if list(&item["lastUnusedOffers"]).len() == 2 { Ok(item) } else { Err(queue) }
    })
    .await;
    assert_eq!((&item["app"]["id"], &item["app"]["mem"]), (&json!("/huge"), &app["mem"]));
    assert_eq!((&item["count"], &item["role"]), (&json!(3), &json!("*")));
    assert_eq!(item["delay"], json!({"timeLeftSeconds": 0, "overdue": true}));
    assert!(text(&item["since"]).ends_with('Z'), "{item}");
    let summary = &item["processedOffersSummary"];
    let (processed, unused) =
        (number(&summary["processedOffersCount"]), number(&summary["unusedOffersCount"]));
    assert!(processed >= 2 && processed == unused, "{summary}");
    assert!(text(&summary["lastUnusedOfferAt"]).ends_with('Z'), "{summary}");
    assert!(summary.get("lastUsedOfferAt").is_none(), "{summary}");
    for (name, all) in [("rejectSummaryLastOffers", 2), ("rejectSummaryLaunchAttempt", processed)] {
        let lines = list(&summary[name]);
        let reasons: Vec<&str> = lines.iter().map(|line| text(&line["reason"])).collect();
        assert_eq!(reasons, FUNNEL, "{name}");
        let mut left = all;
        for line in lines {
            assert_eq!(number(&line["processed"]), left, "{name}: {lines:?}");
            left -= number(&line["declined"]);
        }
        assert_eq!(left, 0, "{name}: none was used: {lines:?}");
    }
    let mut unused: Vec<(&str, &Value)> = list(&item["lastUnusedOffers"])
        .iter()
        .map(|unused| (text(&unused["offer"]["hostname"]), &unused["reason"]))
        .collect();
    unused.sort_unstable_by_key(|(host, _)| *host);
    let both = json!(["UnfulfilledConstraint", "InsufficientMemory"]);
    let only = json!(["InsufficientMemory"]);
    assert_eq!(unused, [("127.0.0.1", &both), ("127.0.0.2", &only)]);
    for unused in list(&item["lastUnusedOffers"]) {
        let offer = &unused["offer"];
        assert!(text(&unused["timestamp"]).ends_with('Z'), "{unused}");
        assert!(!text(&offer["id"]).is_empty() && !text(&offer["agentId"]).is_empty());
        let named =
            |name: &str| list(&offer["resources"]).iter().find(|one| one["name"] == name).cloned();
        let mem = named("mem").expect("memory is offered");
        assert!(mem["scalar"].is_number() && mem["role"] == "*", "{mem}");
        let ports = named("ports").expect("ports are offered");
        assert!(ports["ranges"][0]["begin"].is_number(), "{ports}");
        let rack = list(&offer["attributes"]).iter().find(|one| one["name"] == "rack");
        assert!(rack.is_some_and(|rack| rack["text"].is_string()), "{offer}");
    }
    let plain = &dev.marathon.get("/v2/queue").await["queue"][0];
    assert!(plain.get("lastUnusedOffers").is_none(), "only if it is asked for: {plain}");
    dev.stop().await;
}
