//! What can be asked of `posture`.

use clap::{Args, Subcommand};
use kestrel_proto::v1;

use crate::args::Verdict;

/// Arguments of `posture`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = "Examples:
  kestrel posture                              each workload, then namespaces and nodes
  kestrel posture -n shop -o wide              a column for each control, with a legend
  kestrel posture --control seccomp,host-* --verdict fail,drift
  kestrel posture --summary                    how much passes, by namespace and node
  kestrel posture levels cart                  its Pod Security level, as declared and as observed
  kestrel posture explain cart seccomp         why, task by task, and how to fix it
  kestrel posture -o json | jq -r 'select(.type==\"workload\" and .counts.drift>0).workload'

A workload's replicas are one row, with the worst that is said of any of them. PASSED is the share of
what was judged: UNKNOWN has not passed, EXEMPT counts neither way.")]
pub struct PostureArgs {
    /// Another question
    #[command(subcommand)]
    pub command: Option<PostureCommand>,
    /// Which containers.
    #[command(flatten)]
    pub places: PlaceArgs,
    /// Judge by these controls alone
    #[arg(long, value_delimiter = ',', value_name = "CONTROL", help_heading = FILTER)]
    pub control: Vec<String>,
    /// Rows in which a control says this; the summary counts what it would count without
    #[arg(long, value_delimiter = ',', value_enum, ignore_case = true, help_heading = FILTER)]
    pub verdict: Vec<Verdict>,
    /// Only how much passes, by namespace and node
    #[arg(long)]
    pub summary: bool,
}

impl PostureArgs {
    /// Whether any of what only the matrix takes was given.
    pub(super) fn is_matrix(&self) -> bool {
        let Self { command: _, places, control, verdict, summary } = self;
        places.is_some_named() || places.all || !control.is_empty() || !verdict.is_empty() || *summary
    }
}

/// Where to look.
#[derive(Clone, Debug, Default, Args)]
pub struct PlaceArgs {
    /// Kubernetes namespace
    #[arg(short, long, value_delimiter = ',', value_name = "NAME", help_heading = FILTER)]
    pub namespace: Vec<String>,
    /// Pod
    #[arg(long, value_delimiter = ',', value_name = "NAME", help_heading = FILTER)]
    pub pod: Vec<String>,
    /// Container in the pod
    #[arg(long, value_delimiter = ',', value_name = "NAME", help_heading = FILTER)]
    pub container: Vec<String>,
    /// Node
    #[arg(long, value_delimiter = ',', value_name = "NAME", help_heading = FILTER)]
    pub node: Vec<String>,
    /// Also pod sandboxes, which the runtime owns
    #[arg(long)]
    pub all: bool,
}

impl PlaceArgs {
    /// For the collector.
    pub(super) fn filter(&self) -> v1::Filter {
        let Self { namespace, pod, container, node, all: _ } = self;
        v1::Filter {
            namespaces: namespace.clone(),
            pods: pod.clone(),
            containers: container.clone(),
            nodes: node.clone(),
            ..Default::default()
        }
    }

    /// Whether any place was named.
    pub(super) fn is_some_named(&self) -> bool {
        self.is_in_pods() || !self.node.is_empty()
    }

    /// Whether a place was named that nodes are not in.
    pub(super) fn is_in_pods(&self) -> bool {
        [&self.namespace, &self.pod, &self.container].iter().any(|names| !names.is_empty())
    }
}

const FILTER: &str = "Filter (all must hold; repeat a flag or use commas for any of several; * is any text)";

/// What else `posture` does.
#[derive(Clone, Debug, Subcommand)]
pub enum PostureCommand {
    /// Say why a control says what it says, task by task, and how to fix it
    Explain(ExplainArgs),
    /// Show each container's Pod Security level, declared and observed, field by field
    Levels(LevelsArgs),
}

/// Arguments of `posture levels`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  kestrel posture levels -n shop               each container of a namespace
  kestrel posture levels cart 'search-*'       of a workload, and of pods by their names
  kestrel posture levels cart -o wide          each control, with what passes and why
  kestrel posture levels -o json | jq -r 'select(.weaker).container.names.pod'

A field is as bad as the worst of its controls; one that was not judged is UNKNOWN. > marks those
for want of which less is observed than is declared.

Exit codes: 0 shown, 2 there is no such pod or workload.")]
pub struct LevelsArgs {
    /// Pod, or its workload; * is any text
    #[arg(value_name = "POD")]
    pub pods: Vec<String>,
    /// Which containers.
    #[command(flatten)]
    pub places: PlaceArgs,
}

/// Arguments of `posture explain`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  kestrel posture explain cart seccomp -n shop             each container of the workload cart
  kestrel posture explain cart-7c9d6b5f4d-mk8vq privileged  of one pod
  kestrel posture explain 'cart-*' run-as-non-root --container app -o json
  kestrel posture explain worker-1 host-users              a control of the node, by the node's name

Exit codes: 0 explained, 2 there is no such pod, workload, node or control.")]
pub struct ExplainArgs {
    /// Pod, its workload, or a node for a control of nodes; * is any text
    #[arg(value_name = "POD")]
    pub pod: String,
    /// Control: run-as-non-root, seccomp, read-only-root, …
    #[arg(value_name = "CONTROL")]
    pub control: String,
    /// Kubernetes namespace
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Container in the pod
    #[arg(long, value_name = "NAME")]
    pub container: Option<String>,
}
