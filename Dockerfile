# SPDX-License-Identifier: Apache-2.0
#
# The operator's image for those who have Docker: `docker build --tag registry.example.com/sealwatch:0.1.0 .`
#
# `./just image` makes the released one, without Docker, the same bytes each time, and with bills of materials; this one
# has the same program and runs the same way.
FROM rust:1.95-bookworm AS build
WORKDIR /sealwatch
COPY . .
# Static: the last stage has no C library.
RUN target="$(rustc -vV | sed -n 's/^host: //p')" && \
    RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --release -p sealwatch --target "$target" && \
    cp "target/$target/release/sealwatch" /program && \
    printf 'hosts: files dns\n' >/nsswitch.conf

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /nsswitch.conf /etc/nsswitch.conf
COPY --from=build /program /sealwatch
USER 65532:65532
ENTRYPOINT ["/sealwatch"]
