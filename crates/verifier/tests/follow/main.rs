// SPDX-License-Identifier: Apache-2.0

//! Which digests' signatures count for what runs (`docs/running-images.md`), against a scripted registry.

mod children;
mod configs;
mod indexes;
mod shop;
