//! The few words of SVG that the drawings need. All text goes through [`escape`]; coordinates have one decimal.
//!
//! Colours are never written here: elements carry classes, and the style sheet knows light, dark and print.

use std::fmt::Write;

use crate::words::{Lines, visible};

/// A drawing under construction.
#[derive(Debug, Default)]
pub(crate) struct Svg {
    body: String,
}

/// Where a text's anchor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A rectangle, in the drawing's units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rect {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Svg {
    pub(crate) fn rect(&mut self, class: &str, rect: Rect, title: &str) {
        let Rect { x, y, width, height } = rect;
        let _ =
            write!(self.body, r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}""#);
        self.close("rect", title);
    }

    pub(crate) fn rounded(&mut self, class: &str, rect: Rect, radius: f64, title: &str) {
        let Rect { x, y, width, height } = rect;
        let _ = write!(
            self.body,
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="{radius:.1}""#
        );
        self.close("rect", title);
    }

    pub(crate) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = write!(self.body, r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#);
    }

    pub(crate) fn circle(&mut self, class: &str, center: (f64, f64), radius: f64, title: &str) {
        let _ =
            write!(self.body, r#"<circle class="{class}" cx="{:.1}" cy="{:.1}" r="{radius:.1}""#, center.0, center.1);
        self.close("circle", title);
    }

    pub(crate) fn path(&mut self, class: &str, data: &str) {
        if !data.is_empty() {
            let _ = write!(self.body, r#"<path class="{class}" d="{data}"/>"#);
        }
    }

    pub(crate) fn text(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, text) = (at.0, at.1, escape(text));
        let _ =
            write!(self.body, r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#);
    }

    fn close(&mut self, element: &str, title: &str) {
        if title.is_empty() {
            self.body.push_str("/>");
        } else {
            let _ = write!(self.body, "><title>{}</title></{element}>", escape(title));
        }
    }

    /// The finished drawing, described by `label` for those who can't see it.
    pub(crate) fn finish(self, label: &str, width: f64, height: f64) -> String {
        let (label, body) = (escape(label), self.body);
        format!(r#"<svg role="img" aria-label="{label}" viewBox="0 0 {width:.0} {height:.0}">{body}</svg>"#)
    }
}

/// Text as it may stand in an element or a quoted attribute, with invisible characters made visible.
pub(crate) fn escape(text: &str) -> String {
    let text = visible(text, Lines::One);
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_can_end_neither_its_element_nor_its_attribute() {
        assert_eq!(escape(r#"</text><script>"'&"#), "&lt;/text&gt;&lt;script&gt;&quot;&#39;&amp;");
        assert_eq!(escape("a\u{202e}b"), r"a\u{202e}b");
    }
}
