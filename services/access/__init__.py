"""Policy as code: decides every call, and keeps what policy is about."""
