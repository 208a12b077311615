//! Constraints over agents that differ.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cluster::{Roles, registered};
use crate::http::text;
use crate::marathon::{deploy, deployed, sleeper};

/// What the agents are, by number from 1.
const ATTRIBUTES: [&str; 4] =
    ["rack:r1;disk:ssd;weight:0.8", "rack:r1;disk:hdd", "rack:r2;disk:ssd;weight:2", "rack:r3"];

/// How many of `tasks` are on each agent.
fn by_agent(tasks: &[Value]) -> [usize; 4] {
    let mut counts = [0; 4];
    for task in tasks {
        let number = text(&task["host"]).rsplit('.').next().and_then(|n| n.parse::<usize>().ok());
        counts[number.expect("127.0.0.N") - 1] += 1;
    }
    counts
}

/// The same for racks.
fn by_rack(tasks: &[Value]) -> Vec<usize> {
    let [first, second, third, fourth] = by_agent(tasks);
    vec![first + second, third, fourth]
}

#[tokio::test]
async fn each_operator_places_instances_as_it_says() {
    let mut roles = Roles::start(0).await;
    for (number, attributes) in (1..).zip(ATTRIBUTES) {
        let agent = roles.agent(number, &["--attributes", attributes]).await;
        roles.agents.push(agent);
    }
    registered(&roles.master.api, ATTRIBUTES.len()).await;
    let marathon = roles.marathon().await;
    type Holds = fn(&[Value]) -> bool;
    let cases: [(&str, u32, Value, Holds); 11] = [
        ("unique-host", 4, json!([["hostname", "UNIQUE"]]), |t| by_agent(t) == [1; 4]),
        ("unique-rack", 3, json!([["rack", "UNIQUE"]]), |t| by_rack(t) == [1; 3]),
        ("cluster-named", 2, json!([["rack", "CLUSTER", "r2"]]), |t| by_agent(t) == [0, 0, 2, 0]),
        ("cluster-any", 3, json!([["rack", "CLUSTER"]]), |t| by_rack(t).contains(&3)),
        ("group-by", 6, json!([["rack", "GROUP_BY", "3"]]), |t| by_rack(t) == [2; 3]),
        ("like", 4, json!([["disk", "LIKE", "s.d"]]), |t| {
            let [first, second, third, fourth] = by_agent(t);
            (first + third, second + fourth) == (4, 0)
        }),
        // Whoever has no disk isn't like one.
        ("unlike", 4, json!([["disk", "UNLIKE", "ssd"]]), |t| {
            let [first, second, third, fourth] = by_agent(t);
            (first + third, second + fourth) == (0, 4)
        }),
        ("max-per", 6, json!([["rack", "MAX_PER", "2"]]), |t| by_rack(t) == [2; 3]),
        ("is-text", 2, json!([["disk", "IS", "hdd"]]), |t| by_agent(t) == [0, 2, 0, 0]),
        ("is-number", 2, json!([["weight", "IS", "0.80"]]), |t| by_agent(t) == [2, 0, 0, 0]),
        (
            "several",
            2,
            json!([["hostname", "UNIQUE"], ["disk", "LIKE", "ssd"], ["rack", "GROUP_BY", "2"]]),
            |t| by_agent(t) == [1, 0, 1, 0],
        ),
    ];
    let mut placed = BTreeMap::new();
    for (name, instances, constraints, holds) in &cases {
        let mut app = sleeper(&format!("/{name}"), *instances);
        app["cpus"] = json!(0.01);
        app["mem"] = json!(8);
        app["constraints"] = constraints.clone();
        let tasks = deploy(&marathon.api, &app).await;
        assert!(holds(&tasks), "{name}: {constraints} gave {:?}", by_agent(&tasks));
        placed.insert(*name, by_agent(&tasks));
        let shown = &marathon.api.get(&format!("/v2/apps/{name}")).await["app"];
        assert_eq!(shown["constraints"], *constraints);
    }
    // An app that is spread stays so when it gets smaller.
    let fewer = marathon.api.put("/v2/apps/group-by", &json!({"instances": 3})).await;
    fewer.expect(200);
    deployed(&marathon.api, &fewer).await;
    let left = crate::marathon::running(&marathon.api, "group-by", 3).await;
    assert_eq!(by_rack(&left), [1; 3], "from {:?}", placed["group-by"]);
    marathon.stop().await;
    roles.stop().await;
}
