// SPDX-License-Identifier: Apache-2.0
//! What the adapters do with registries that behave, that fail and that lie. Everything stays on loopback.

mod auth;
mod bodies;
mod citizenship;
mod cloud;
mod documents;
mod egress;
mod fixture;
mod floods;
mod frames;
mod hostile;
mod http2;
mod layout;
mod mirrors;
mod names;
mod plain;
mod proxies;
mod redirects;
mod referrers;
mod resolve;
mod scripted;
mod secrets;
mod tls;
