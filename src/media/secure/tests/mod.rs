//! Whole endpoints: with `str0m` as a browser, with another of ours as a phone, with keys from descriptions.

mod browser;
mod phone;
mod world;

pub(super) use world::certificate;
