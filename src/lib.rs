//! warmline: a SIP edge that performs call transfers natively.

pub mod api;
pub mod call;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod dialog;
pub mod driver;
pub mod engine;
pub mod leg;
pub mod manual;
pub mod media;
pub mod observe;
pub mod phone;
pub mod proxy;
pub mod registrar;
pub mod sdp;
pub mod sip;
pub mod store;
pub mod transaction;
pub mod transfer;
pub mod transport;
pub mod vocabulary;
