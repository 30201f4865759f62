//! Amazon Data Firehose delivering to an HTTP endpoint: records in base64, several to a call, each with one or more posts
//! as JSON, one a line. The answer repeats the id of the request.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

#[derive(Deserialize)]
struct Delivery {
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    data: String,
}

pub(super) fn parse(body: &[u8], mapping: &ColumnMapping, origin: &Origin, parsed: &mut Parsed) -> Result<(), String> {
    let delivery: Delivery =
        serde_json::from_slice(body).map_err(|error| format!("the body is no delivery of Firehose: {error}"))?;
    for record in delivery.records {
        let Ok(bytes) = STANDARD.decode(record.data.trim()) else {
            parsed.rejections.push(Rejection::new("the record is not base64", record.data.as_bytes()));
            continue;
        };
        for line in bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
            formats::parse_mapped(line, mapping, origin, parsed);
        }
    }
    Ok(())
}
