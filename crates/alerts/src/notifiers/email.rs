//! Mail by SMTP, as plain text and HTML. The mail server is the operator's own choice and may be internal.

use crate::error::Error;
use crate::words::{Letterhead, Template, kind_words, render};
use async_trait::async_trait;
use domain::{ErrorKind, Notification, Notifier, Result};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::{ExposeSecret, SecretString};

/// Encryption of the connection to the mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// TLS from the first byte.
    Tls,
    StartTls,
    /// A server on this machine.
    None,
}

/// How the mail server is reached.
#[derive(Debug, Clone)]
pub struct Smtp {
    pub host: String,
    /// None: the usual port of the encryption.
    pub port: Option<u16>,
    pub encryption: Encryption,
    pub username: Option<String>,
    pub password: Option<SecretString>,
    /// `Overheard <alerts@example.org>`.
    pub from: String,
}

/// One list of recipients.
pub struct Email {
    channel: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    letterhead: Letterhead,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Email {
    pub fn new(channel: impl Into<String>, smtp: &Smtp, to: &[String], letterhead: Letterhead) -> Result<Self, Error> {
        let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|_| Error::Mailbox(text.to_owned()));
        let mut builder = match smtp.encryption {
            Encryption::None => AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&smtp.host),
            Encryption::StartTls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&smtp.host)?,
            Encryption::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(&smtp.host)?,
        };
        if let Some(port) = smtp.port {
            builder = builder.port(port);
        }
        if let (Some(username), Some(password)) = (&smtp.username, &smtp.password) {
            builder = builder.credentials(Credentials::new(username.clone(), password.expose_secret().to_owned()));
        }
        let to = to.iter().map(|to| mailbox(to)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { channel: channel.into(), from: mailbox(&smtp.from)?, to, letterhead, transport: builder.build() })
    }

    fn message(&self, notification: &Notification) -> Result<Message> {
        let plain = render(Template::Text, notification, &self.letterhead)?;
        let html = render(Template::Html, notification, &self.letterhead)?;
        let mut message = Message::builder()
            .from(self.from.clone())
            // The same notification has the same Message-ID: a mail reader shows a repeat once.
            .message_id(Some(format!(
                "<{}@overheard>",
                crate::life::alert_id("mail", Some(&notification.id), notification.alert.opened_at)
            )))
            .subject(subject(notification));
        for to in &self.to {
            message = message.to(to.clone());
        }
        message
            .multipart(MultiPart::alternative_plain_html(plain, html))
            .map_err(|e| domain::Error::caused(ErrorKind::Reject, "mail can't be written", e))
    }
}

/// Longest subject, characters: what a list of mails shows, and what SNS takes.
const SUBJECT_MAX: usize = 100;

/// The first line of the title, short enough for a list of mails: without the reasons, and without the figures in
/// brackets where they would be cut through.
pub(crate) fn subject(notification: &Notification) -> String {
    let title = headline(notification.alert.title.lines().next().unwrap_or_default()).replace('*', "");
    let subject = format!("[{}] {title}", kind_words(notification));
    let shorter = subject.rsplit_once(" (").filter(|_| subject.chars().count() > SUBJECT_MAX);
    let subject = shorter.map_or(subject.as_str(), |(before, _)| before);
    subject.chars().filter(|c| !c.is_control()).take(SUBJECT_MAX).collect()
}

/// What happened, without the figures and reasons that follow the first colon after a name. A colon within a name
/// (`*late flight: negative*`) ends nothing.
fn headline(title: &str) -> &str {
    let is_after_name = |at: &usize| {
        let stars = title[..*at].matches('*').count();
        stars > 0 && stars.is_multiple_of(2)
    };
    let end = title.match_indices(": ").map(|(at, _)| at).find(is_after_name);
    &title[..end.unwrap_or(title.len())]
}

#[async_trait]
impl Notifier for Email {
    fn channel(&self) -> &str {
        &self.channel
    }

    async fn notify(&self, notification: &Notification) -> Result<()> {
        match self.transport.send(self.message(notification)?).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let kind = if error.is_permanent() { ErrorKind::Reject } else { ErrorKind::Retry };
                Err(domain::Error::caused(kind, "mail was not taken", error))
            }
        }
    }
}
