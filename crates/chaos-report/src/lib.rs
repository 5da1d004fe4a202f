//! One summary, rendered as JSON, HTML and terminal text
