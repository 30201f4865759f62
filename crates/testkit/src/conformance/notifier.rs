//! The promises of [`Notifier`], and receivers that behave as it needs: over HTTP and as a mail server.

use crate::posts::noon;
use axum::Router;
use axum::http::StatusCode;
use domain::{Alert, AlertState, ErrorKind, Notification, Notifier, Severity};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// How the receiver of a channel behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    Takes,
    /// It can't take anything now.
    Busy,
    /// It takes nothing of this kind, ever.
    Refuses,
    /// Nobody listens at the address.
    Gone,
}

impl Receiver {
    pub const ALL: [Self; 4] = [Self::Takes, Self::Busy, Self::Refuses, Self::Gone];

    fn expected(self) -> Option<ErrorKind> {
        match self {
            Self::Takes => None,
            Self::Busy | Self::Gone => Some(ErrorKind::Retry),
            Self::Refuses => Some(ErrorKind::Reject),
        }
    }

    fn http_status(self) -> StatusCode {
        match self {
            Self::Refuses => StatusCode::NOT_FOUND,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Takes | Self::Gone => StatusCode::OK,
        }
    }

    /// What a mail server answers to a recipient.
    fn smtp_reply(self) -> &'static str {
        match self {
            Self::Refuses => "550 no such mailbox",
            Self::Busy => "451 try again later",
            Self::Takes | Self::Gone => "250 ok",
        }
    }
}

/// A part of the receiver's address that must stay secret.
const SECRET: &str = "T0K3N";

/// Runs every promise with receivers that behave in these ways. `make` gives the notifier of channel `desk` that
/// delivers to such a receiver.
pub async fn notifier(receivers: &[Receiver], make: impl AsyncFn(Receiver) -> Arc<dyn Notifier>) {
    for receiver in receivers {
        let notifier = make(*receiver).await;
        assert_eq!(notifier.channel(), "desk", "the name that rules call the channel by");
        for kind in ["opened", "updated", "resolved", "test"] {
            let error = notifier.notify(&notification(kind)).await.err();
            assert_eq!(error.as_ref().map(domain::Error::kind), receiver.expected(), "{receiver:?}: {error:?}");
            let words = error.map(|error| format!("{error} {error:?}")).unwrap_or_default();
            assert!(!words.contains(SECRET), "an error does not tell the address: {words}");
        }
    }
}

fn notification(kind: &str) -> Notification {
    let alert = Alert {
        id: "a1".into(),
        rule: "late flights <b>\u{1f6ec}".into(),
        topic: None,
        state: AlertState::Open,
        opened_at: noon(),
        updated_at: noon(),
        resolved_at: None,
        severity: Severity::High,
        title: "412 mentions in an hour\nBcc: nobody@example.org".into(),
        anomalies: Vec::new(),
        notified: Vec::new(),
    };
    Notification { id: format!("a1:desk:{kind} \u{1f6ec}"), channel: "desk".into(), kind: kind.into(), alert }
}

/// Address of an HTTP receiver that behaves so.
pub async fn http_receiver(receiver: Receiver) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    if receiver != Receiver::Gone {
        let app = Router::new().fallback(async move || receiver.http_status());
        tokio::spawn(async move { axum::serve(listener, app).await });
    }
    format!("http://{address}/{SECRET}")
}

/// Port of a mail server on this machine that behaves so.
pub async fn smtp_receiver(receiver: Receiver) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    if receiver != Receiver::Gone {
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move { serve_mail(stream, receiver).await });
            }
        });
    }
    port
}

async fn serve_mail(stream: TcpStream, receiver: Receiver) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 ready\r\n").await?;
    let mut in_data = false;
    while let Some(line) = lines.next_line().await? {
        let reply = match line.split([' ', ':']).next().unwrap_or_default() {
            "." if in_data => "250 queued",
            _ if in_data => continue,
            "RCPT" => receiver.smtp_reply(),
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        in_data = reply.starts_with("354");
        write.write_all(format!("{reply}\r\n").as_bytes()).await?;
    }
    Ok(())
}
