//! What log lines of a shard know of where they come from.

use std::sync::{Arc, Mutex};

use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::*;

/// For each span, the names of those that it is in and its own.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Vec<&'static str>>>>);

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Recorder {
    fn on_new_span(&self, _attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let scope = context.span_scope(id).unwrap();
        self.0.lock().unwrap().push(scope.from_root().map(|span| span.name()).collect());
    }
}

/// Whatever thread computes it. The subscriber is that of all tests of this program, since those threads
/// have none of their own; other tests open no span of this name.
#[test]
fn shards_are_in_the_span_of_their_step() {
    let recorder = Recorder::default();
    tracing::subscriber::set_global_default(Registry::default().with(recorder.clone())).unwrap();
    for devices in [1, 2] {
        let model = linear(false);
        let mut stepper = stepper(&model, 1e9);
        stepper.adders = Adders::devices(devices).unwrap();
        recorder.0.lock().unwrap().clear();
        let span = tracing::debug_span!("a step of this test").entered();
        stepper.step(1, ROWS.iter().cycle().take(9).map(|one| shard(&[*one]))).unwrap();
        drop(span);
        let mut found = recorder.0.lock().unwrap().clone();
        found.retain(|scope| scope[..] == ["a step of this test", "shard"]);
        assert_eq!(found.len(), 9, "{devices} devices");
    }
}
