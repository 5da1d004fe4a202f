//! What the page may do, said to the browser: run this one script, use this one style sheet, and nothing else.
//!
//! Both are named by the SHA-256 of their text (Content Security Policy Level 3, section 6.7.3.4), so that nothing that a node
//! or a plan smuggles into the page could run or fetch anything, even past a mistake in the escaping.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The policy for a page with this script and this style sheet.
pub(crate) fn content_security_policy(script: &str, style: &str) -> String {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        source(script),
        source(style)
    )
}

/// The policy for a page that has no script at all.
pub(crate) fn without_script(style: &str) -> String {
    format!("default-src 'none'; style-src '{}'; base-uri 'none'; form-action 'none'", source(style))
}

fn source(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_named_by_its_digest() {
        // The example of the specification's section "Usage of hashes".
        assert_eq!(source("alert('Hello, world.');"), "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=");
    }

    #[test]
    fn nothing_is_allowed_that_is_not_named() {
        let policy = content_security_policy("a", "b");
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe") && !policy.contains('*'));
        let policy = without_script("b");
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("script") && !policy.contains("unsafe"));
    }
}
