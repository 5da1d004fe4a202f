//! Workloads and fault plans: YAML to typed, validated, spanned values
