# The agent alone: no shell, no package manager, no library. Needs BuildKit (file capabilities
# survive its COPY --from).
#
#   docker build --file deploy/images/agent.Dockerfile --tag kestrel-agent .
#
# The kernel programs are compiled here too. `docker run` cannot show much of it: it wants the rights
# and mounts of deploy/kubernetes/agent.yaml.

FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /src
RUN apt-get update -qq \
 && apt-get install -qq --no-install-recommends libcap2-bin >/dev/null
COPY . .
# Compilers, target and linker for the kernel programs; versions are xtask's.
RUN cargo xtask setup --build-only && cargo xtask build-ebpf
RUN RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --release \
      --package kestrel-agent --bin kestrel-agent --target x86_64-unknown-linux-gnu \
 && strip --strip-debug --output-file /kestrel-agent target/x86_64-unknown-linux-gnu/release/kestrel-agent
# Permitted, not effective: with an effective one that the pod is not given, exec would fail. The agent
# takes what it may. SYS_RESOURCE is for kernels before 5.11, NET_ADMIN for packets (streams.network,
# rules.peer_names).
RUN setcap cap_net_admin,cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search,cap_sys_resource+p /kestrel-agent

FROM scratch
COPY --from=build /kestrel-agent /kestrel-agent
USER 65532:65532
ENTRYPOINT ["/kestrel-agent"]
CMD ["run"]
