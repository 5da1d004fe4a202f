//! Replies to the letter, and what hostile servers may send.

use super::*;

const BYTES_MAX: usize = 1 << 10;

async fn read(bytes: impl AsRef<[u8]>) -> Result<Reply, RespError> {
    reply(&mut bytes.as_ref(), BYTES_MAX).await
}

fn bulk(text: &str) -> Reply {
    Reply::Bulk(text.as_bytes().to_vec())
}

#[tokio::test]
async fn every_kind_is_read_to_its_end_and_no_further() {
    for (bytes, expect) in [
        ("+OK\r\n", Reply::Status("OK".to_owned())),
        ("+\r\n", Reply::Status(String::new())),
        ("-ERR no\r\n", Reply::Error("ERR no".to_owned())),
        (":-7\r\n", Reply::Number(-7)),
        ("$2\r\n\r\n\r\n", bulk("\r\n")),
        ("$0\r\n\r\n", bulk("")),
        ("$-1\r\n", Reply::Nothing),
        ("*-1\r\n", Reply::Nothing),
        ("*0\r\n", Reply::List(vec![])),
        ("*3\r\n$1\r\na\r\n*1\r\n:1\r\n-no\r\n", {
            Reply::List(vec![bulk("a"), Reply::List(vec![Reply::Number(1)]), Reply::Error("no".to_owned())])
        }),
    ] {
        let both = format!("{bytes}+next\r\n");
        let mut stream = both.as_bytes();
        assert_eq!(reply(&mut stream, BYTES_MAX).await.unwrap(), expect, "{bytes:?}");
        assert_eq!(stream, b"+next\r\n", "{bytes:?}");
    }
    assert_eq!(read(b"$1\r\n\xff\r\n").await.unwrap(), Reply::Bulk(vec![0xff]));
}

#[tokio::test]
async fn a_command_reads_back_as_the_list_of_its_words() {
    let words = ["SET", "k\r\n", "", "é"].map(str::to_owned);
    let list = words.iter().map(|word| bulk(word)).collect();
    assert_eq!(read(encoded(&words)).await.unwrap(), Reply::List(list));
}

#[tokio::test]
async fn no_beginning_of_a_reply_is_one() {
    let whole = "*3\r\n$3\r\nabc\r\n*1\r\n:12\r\n+OK\r\n";
    assert!(read(whole).await.is_ok());
    for end in 0..whole.len() {
        let error = read(&whole[..end]).await.unwrap_err();
        assert!(!matches!(error, RespError::TooLarge { .. }), "{end}: {error}");
    }
    assert!(matches!(read("").await, Err(RespError::Ended)));
    assert!(matches!(read("*1\r\n").await, Err(RespError::Ended)));
    assert!(matches!(read("$5\r\n123").await, Err(RespError::Broken(_))));
    assert!(matches!(read("+O").await, Err(RespError::Unreadable { .. })));
}

#[tokio::test]
async fn what_is_not_resp_to_the_letter_is_unreadable() {
    for bytes in [
        "\r\n",
        "\n",
        "OK\r\n",
        "é\r\n",
        "+OK\n",
        ":\r\n",
        ":x\r\n",
        ":9223372036854775808\r\n",
        "$\r\n",
        "$-2\r\n",
        "*-7\r\n",
        "$1x\r\n",
        "$1\r\n12\r\n",
        "$1\r\n1\n\n",
        "%1\r\n+a\r\n+b\r\n",
        "$99999999999999999999\r\n",
    ] {
        let error = read(bytes).await.unwrap_err();
        assert!(matches!(error, RespError::Unreadable { .. }), "{bytes:?}: {error:?}");
    }
    assert!(matches!(read(b"+\xff\r\n").await, Err(RespError::Unreadable { .. })));
}

#[tokio::test]
async fn a_reply_that_is_too_large_is_refused_before_it_is_kept() {
    let too_large =
        |result: Result<Reply, RespError>| matches!(result, Err(RespError::TooLarge { bytes_max: BYTES_MAX }));
    // The length alone decides: nothing of these follows.
    for bytes in ["$1024\r\n", "$18446744073709551615\r\n", "*257\r\n", "*18446744073709551615\r\n"] {
        assert!(too_large(read(bytes).await), "{bytes:?}");
    }
    // Every part is small, the whole isn't: of texts, and of elements that are almost nothing.
    assert!(too_large(read(format!("*20\r\n{}", format!("$100\r\n{}\r\n", "x".repeat(100)).repeat(20))).await));
    assert!(too_large(read(format!("*200\r\n{}", format!("*200\r\n{}", "+\r\n".repeat(200)).repeat(200))).await));
    // The line before the text and the text's end are counted.
    let fits = |length: usize| format!("${length}\r\n{}\r\n", "x".repeat(length));
    assert!(read(fits(1015)).await.is_ok());
    assert!(too_large(read(fits(1016)).await));
}

#[tokio::test]
async fn a_line_without_end_is_given_up() {
    let line = |length: usize| format!("+{}\r\n", "x".repeat(length));
    let read = async |bytes: String| reply(&mut bytes.as_bytes(), 1 << 20).await;
    assert!(read(line(4093)).await.is_ok());
    assert!(matches!(read(line(4094)).await, Err(RespError::Unreadable { .. })));
    assert!(matches!(read(format!("+{}", "x".repeat(100_000))).await, Err(RespError::Unreadable { .. })));
}

#[tokio::test]
async fn lists_in_lists_end_at_the_fourth() {
    let nested = |depth: usize| format!("{}:1\r\n", "*1\r\n".repeat(depth));
    assert!(read(nested(4)).await.is_ok());
    for depth in [5, 100] {
        let error = read(nested(depth)).await.unwrap_err();
        assert!(matches!(&error, RespError::Unreadable { why, .. } if why.contains("lists in lists")), "{error}");
    }
}
