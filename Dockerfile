# SPDX-License-Identifier: Apache-2.0
#
# The operator's image for those who have Docker: `docker build --tag registry.example.com/sealwatch:0.1.0 .`
#
# `./just image` makes the released one, without Docker, for both platforms, the same bytes each time, and with bills of
# materials; this one has the same program, built by the same script, in the same place, for the platform of the engine.
FROM rust:1.95.0-bookworm AS build
WORKDIR /sealwatch
COPY . .
# The compiler of the image, without the components that rust-toolchain.toml names for people.
RUN RUSTUP_TOOLCHAIN=1.95.0 dev/programs "$(dpkg --print-architecture)" >/built && \
    mkdir /image && \
    cp "$(cut -d : -f 3 /built)" /image/sealwatch && \
    cp LICENSE /etc/ssl/certs/ca-certificates.crt /image/ && \
    printf 'root:x:0:\nnonroot:x:65532:\n' >/image/group && \
    printf 'hosts: files dns\n' >/image/nsswitch.conf && \
    printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >/image/passwd

FROM scratch
COPY --from=build /image/group /etc/group
COPY --from=build /image/nsswitch.conf /etc/nsswitch.conf
COPY --from=build /image/passwd /etc/passwd
COPY --from=build /image/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /image/LICENSE /usr/share/licenses/sealwatch/LICENSE
COPY --from=build /image/sealwatch /sealwatch
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/sealwatch"]
