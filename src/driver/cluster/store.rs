//! Threads that wait for the store, so that nobody else does.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Sender};

use tokio::sync::mpsc::UnboundedSender;

use super::News;
use crate::cluster::{OrderId, StoreOrder};
use crate::store::Redis;

/// A thread that does one order after the other; it ends with the sender.
pub(super) fn start(mut store: Redis, news: UnboundedSender<News>) -> std::io::Result<Sender<(OrderId, StoreOrder)>> {
    let (orders, received) = mpsc::channel::<(OrderId, StoreOrder)>();
    let work = move || {
        while let Ok((id, order)) = received.recv() {
            let answer = store.perform(&order);
            let answer = answer
                .map_err(|error| tracing::debug!(%error, "the store does not answer"))
                .ok();
            if news.send(News::Store(id, answer)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("warmline-lease".to_owned())
        .spawn(work)?;
    Ok(orders)
}

/// Listens to what other nodes change of what belongs to all.
pub(in crate::driver) fn listen(store: Redis, wanted: Arc<AtomicBool>, news: UnboundedSender<News>) {
    let told = Box::new(move |users, live| {
        news.send(News::Users(users, live)).ok(); // the edge is stopping
    }) as crate::store::News;
    let work = move || store.listen(&wanted, &told);
    let thread = std::thread::Builder::new().name("warmline-news".to_owned()).spawn(work);
    if let Err(error) = thread {
        tracing::error!(%error, "the system refused a thread");
    }
}
