//! What is called: the services with their protocols, and every operation with the permission that it needs.
//! `deploy/actions.json` lists the permissions for policies; a test compares the two.

/// A service of AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Sqs,
    Sns,
    Translate,
    Comprehend,
    SageMaker,
    Places,
    Ssm,
    SecretsManager,
    Firehose,
    Kinesis,
}

/// How a service is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// AWS JSON of this version; operations are named after this prefix.
    Json { content_type: &'static str, prefix: &'static str },
    /// A form.
    Query,
    /// JSON at a path of the operation's own.
    Rest,
}

impl Service {
    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqs => "Amazon SQS",
            Self::Sns => "Amazon SNS",
            Self::Translate => "Amazon Translate",
            Self::Comprehend => "Amazon Comprehend",
            Self::SageMaker => "Amazon SageMaker",
            Self::Places => "Amazon Location",
            Self::Ssm => "SSM Parameter Store",
            Self::SecretsManager => "AWS Secrets Manager",
            Self::Firehose => "Amazon Data Firehose",
            Self::Kinesis => "Amazon Kinesis",
        }
    }

    /// Its name in signatures.
    pub fn signed_as(self) -> &'static str {
        match self {
            Self::Sqs => "sqs",
            Self::Sns => "sns",
            Self::Translate => "translate",
            Self::Comprehend => "comprehend",
            Self::SageMaker => "sagemaker",
            Self::Places => "geo-places",
            Self::Ssm => "ssm",
            Self::SecretsManager => "secretsmanager",
            Self::Firehose => "firehose",
            Self::Kinesis => "kinesis",
        }
    }

    /// The first part of its host's name.
    pub(crate) fn host(self) -> &'static str {
        match self {
            Self::SageMaker => "runtime.sagemaker",
            Self::Places => "places.geo",
            other => other.signed_as(),
        }
    }

    /// The end of the variable that replaces its address, `AWS_ENDPOINT_URL_...`.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Sqs => "SQS",
            Self::Sns => "SNS",
            Self::Translate => "TRANSLATE",
            Self::Comprehend => "COMPREHEND",
            Self::SageMaker => "SAGEMAKER_RUNTIME",
            Self::Places => "GEO_PLACES",
            Self::Ssm => "SSM",
            Self::SecretsManager => "SECRETS_MANAGER",
            Self::Firehose => "FIREHOSE",
            Self::Kinesis => "KINESIS",
        }
    }

    pub fn protocol(self) -> Protocol {
        let json = |content_type, prefix| Protocol::Json { content_type, prefix };
        let (json_1_0, json_1_1) = ("application/x-amz-json-1.0", "application/x-amz-json-1.1");
        match self {
            Self::Sqs => json(json_1_0, "AmazonSQS"),
            Self::Sns => Protocol::Query,
            Self::Translate => json(json_1_1, "AWSShineFrontendService_20170701"),
            Self::Comprehend => json(json_1_1, "Comprehend_20171127"),
            Self::SageMaker | Self::Places => Protocol::Rest,
            Self::Ssm => json(json_1_1, "AmazonSSM"),
            Self::SecretsManager => json(json_1_1, "secretsmanager"),
            Self::Firehose => json(json_1_1, "Firehose_20150804"),
            Self::Kinesis => json(json_1_1, "Kinesis_20131202"),
        }
    }
}

/// An operation of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    pub service: Service,
    pub name: &'static str,
    /// The action that a policy must allow.
    pub permission: &'static str,
    /// What needs it.
    pub used_for: &'static str,
}

/// Declares the operations, and the list of all.
macro_rules! operations {
    ($($constant:ident: $service:ident $name:literal $permission:literal $used_for:literal,)*) => {
        $(pub(crate) const $constant: Operation = Operation {
            service: Service::$service, name: $name, permission: $permission, used_for: $used_for,
        };)*
        /// Every operation that this program calls.
        pub const ALL: &[Operation] = &[$($constant),*];
    };
}

operations! {
    SEND_MESSAGE: Sqs "SendMessage" "sqs:SendMessage" "listener: batches; worker: letters; alerts: a channel of kind sqs",
    RECEIVE_MESSAGE: Sqs "ReceiveMessage" "sqs:ReceiveMessage" "worker: batches; listener: letters",
    DELETE_MESSAGE: Sqs "DeleteMessage" "sqs:DeleteMessage" "worker: batches; listener: letters",
    CHANGE_VISIBILITY: Sqs "ChangeMessageVisibility" "sqs:ChangeMessageVisibility" "worker: batches",
    QUEUE_ATTRIBUTES: Sqs "GetQueueAttributes" "sqs:GetQueueAttributes" "listener: batches; doctor: both queues",
    PUBLISH: Sns "Publish" "sns:Publish" "alerts: a channel of kind sns",
    TRANSLATE_TEXT: Translate "TranslateText" "translate:TranslateText" "translation.engine = amazon-translate",
    LANGUAGES: Comprehend "BatchDetectDominantLanguage" "comprehend:BatchDetectDominantLanguage" "understand.engine = comprehend",
    SENTIMENT: Comprehend "BatchDetectSentiment" "comprehend:BatchDetectSentiment" "understand.engine = comprehend",
    ENTITIES: Comprehend "BatchDetectEntities" "comprehend:BatchDetectEntities" "understand.engine = comprehend",
    KEY_PHRASES: Comprehend "BatchDetectKeyPhrases" "comprehend:BatchDetectKeyPhrases" "understand.engine = comprehend",
    INVOKE_ENDPOINT: SageMaker "InvokeEndpoint" "sagemaker:InvokeEndpoint" "understand.aws.sagemaker_endpoint",
    GEOCODE: Places "Geocode" "geo-places:Geocode" "places.engine = amazon-location",
    REVERSE_GEOCODE: Places "ReverseGeocode" "geo-places:ReverseGeocode" "places.engine = amazon-location",
    GET_PARAMETER: Ssm "GetParameter" "ssm:GetParameter" "sources: token_ssm",
    GET_SECRET: SecretsManager "GetSecretValue" "secretsmanager:GetSecretValue" "sources: token_secret",
    PUT_RECORD_BATCH: Firehose "PutRecordBatch" "firehose:PutRecordBatch" "streams of kind firehose",
    PUT_RECORDS: Kinesis "PutRecords" "kinesis:PutRecords" "streams of kind kinesis",
}

/// What the object store calls for a lake or documents in S3, and for objects that others wrote.
pub const STORE_PERMISSIONS: &[(&str, &str)] = &[
    ("s3:GetObject", "lake, state; lambda with the action s3"),
    ("s3:PutObject", "lake, state"),
    ("s3:DeleteObject", "lake, state"),
    ("s3:ListBucket", "lake, state"),
    ("s3:AbortMultipartUpload", "lake"),
];

/// What else these need where a key of KMS encrypts buckets, queues, topics, parameters or secrets.
pub const KEY_PERMISSIONS: &[(&str, &str)] = &[
    ("kms:Decrypt", "S3, SQS, SSM and Secrets Manager with a key of your own"),
    ("kms:GenerateDataKey", "S3, SQS and SNS with a key of your own"),
];
