//! What leaves the agent on the node itself: JSON lines and the live view.
