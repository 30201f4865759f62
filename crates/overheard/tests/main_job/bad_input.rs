//! Bad input gets a reason and stops nothing.

use crate::program::{counts, plain, run, succeed, text};

#[test]
fn bad_posts_go_to_the_dead_letters_and_the_good_ones_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = folder.path().join("nasty.jsonl");
    let mut bytes = Vec::new();
    let good = r#"{"id":"1","text":"all is well","created_at":"2026-02-01T00:00:00Z"}"#;
    let large = format!(r#"{{"id":"9","text":"{}","created_at":"2026-02-01T00:00:00Z"}}"#, "x".repeat(1 << 20));
    let lines: Vec<&[u8]> = vec![
        good.as_bytes(),
        b"{\"id\":\"2\",\"text\":\"cut off",
        b"{\"id\":\"3\",\"text\":\"bad bytes \xff\xfe\",\"created_at\":\"2026-02-01T00:00:00Z\"}",
        br#"{"id":"4","text":"too early","created_at":"1870-01-01T00:00:00Z"}"#,
        br#"{"id":"5","text":"too late","created_at":"2100-01-01T00:00:00Z"}"#,
        br#"{"id":"6","text":"no date"}"#,
        good.as_bytes(),
        large.as_bytes(),
        "{\"id\":\"7\",\"text\":\"\u{202e}😀\u{0301}\",\"created_at\":\"2026-02-01T00:00:01Z\",\"unknown\":{\"a\":[1]}}".as_bytes(),
        br#"{"id":"8","text":"nul \u0000 inside","created_at":"2026-02-01T00:00:02Z"}"#,
    ];
    for line in &lines {
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
    }
    std::fs::write(&file, bytes).unwrap();
    let output = run(plain(&data).arg("import").arg(&file));
    assert_eq!(output.status.code(), Some(3), "{}{}", text(&output.stdout), text(&output.stderr));
    let letters = succeed(plain(&data).args(["dead-letters", "list", "--format", "jsonl"]));
    let reasons: Vec<serde_json::Value> = letters.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (raw, ids, rows, _) = counts(&data);
    assert_eq!((raw, ids), (rows, rows));
    assert_eq!(raw as usize + reasons.len(), lines.len() - 1, "all but the duplicate are somewhere: {letters}");
    assert!(reasons.iter().all(|letter| letter["reason"].as_str().unwrap().len() > 10), "{letters}");
    assert!(rows == 2, "the good one and the right-to-left mark arrive: {rows}");
    run(plain(&data).arg("import").arg(&file));
    let again = succeed(plain(&data).args(["dead-letters", "list", "--format", "jsonl"]));
    assert_eq!(again.lines().count(), reasons.len(), "the same letters are kept once");
    let doctor = run(plain(&data).arg("doctor").env("OVERHEARD__QUEUE__DEAD_LETTERS_MAX", "1"));
    let found = text(&doctor.stdout);
    assert!(found.lines().any(|line| line.starts_with("fail") && line.contains("dead letters are full")), "{found}");
}

#[test]
fn each_line_to_geocode_gets_one_line_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines.txt");
    std::fs::write(&file, b"Austin, TX\r\n\nM\xfcnchen \xff\nundecided\nBrooklyn, NY").unwrap();
    let input = std::fs::File::open(&file).unwrap();
    let answer = succeed(plain(folder.path()).args(["geocode", "--format", "jsonl", "-"]).stdin(input));
    let lines: Vec<serde_json::Value> = answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 5, "{answer}");
    assert_eq!((&lines[0]["name"], &lines[4]["name"]), (&"Austin".into(), &"Brooklyn".into()));
    assert!(lines[1].is_null() && lines[3].is_null(), "{answer}");
}
