# The collector alone, and the authorities that webhooks' certificates come from.
#
#   docker build --file deploy/images/collector.Dockerfile --tag kestrel-collector .

FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /src
RUN apt-get update -qq && apt-get install -qq --no-install-recommends ca-certificates >/dev/null
COPY . .
RUN RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --release \
      --package kestrel-collector --bin kestrel-collector --target x86_64-unknown-linux-gnu \
 && strip --strip-debug --output-file /kestrel-collector \
      target/x86_64-unknown-linux-gnu/release/kestrel-collector

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /kestrel-collector /kestrel-collector
USER 65532:65532
ENTRYPOINT ["/kestrel-collector"]
CMD ["run"]
