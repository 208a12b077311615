//! Messages that come long after they were given up.

use super::{calm_cluster, is_at_rest, run, running};
use crate::processes::master::MASTER;
use crate::schedule::Story;

#[test]
fn requests_that_a_framework_gave_up_do_not_end_it() {
    let mut world = calm_cluster(2);
    let before = running(&world);
    let life = world.kernel.is(world.marathon.node).life;
    let node = world.marathon.node;
    world.kernel.network.block(node, MASTER);
    // It notices, asks again and again, and gives each request up.
    run(&mut world, 100);
    world.undo(&Story::Unblock { from: node, to: MASTER });
    run(&mut world, 60);
    assert_eq!(world.kernel.is(node).life, life, "it did not have to be started again");
    assert_eq!(running(&world), before, "the same tasks");
    is_at_rest(&mut world);
}
