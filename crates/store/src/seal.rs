//! The master key and what is derived from it: the hashes under which API keys are stored, and what is sealed.
//!
//! An API key's secret is 256 random bits, so a single keyed hash is enough: there is nothing to guess that a slow hash
//! would protect. Without the master key the hashes in a stolen database cannot even be compared with a known secret.

use std::fmt;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use policy::secret::Secret;
use zeroize::Zeroizing;

use self::results::ResultKeys;

pub mod results;

/// What every API key's secret starts with.
pub const SECRET_PREFIX: &str = "sk-cw-";

/// How many characters of a secret are kept in clear, so that people can tell keys apart.
const SHOWN_CHARACTERS: usize = 10;

const FILE: &str = "master.key";
const KEY_HASH_LABEL: &[u8] = b"crossway api key hash v1";
const SEAL_LABEL: &[u8] = b"crossway sealed secret v1";

/// What every sealed secret starts with.
pub const SEALED_PREFIX: &str = "sealed:v1:";

/// The fact of a database that tells a wrong master key.
pub const CHECK: &str = "master_key_check";

const CHECK_TEXT: &str = "crossway";

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The value given in the environment is not 64 hexadecimal digits.
    #[error("the master key given in the environment is not 64 hexadecimal digits")]
    MalformedValue,
    /// The file does not hold 64 hexadecimal digits.
    #[error("master.key does not hold 64 hexadecimal digits: restore it, API keys cannot be checked without it")]
    MalformedFile,
    /// The file cannot be read.
    #[error("cannot read master.key")]
    Read(#[source] io::Error),
    /// The file cannot be written.
    #[error("cannot create master.key")]
    Create(#[source] io::Error),
    /// The system gave no random bytes.
    #[error("the system's random generator failed")]
    Random,
    /// A secret cannot be sealed.
    #[error("a secret cannot be sealed")]
    Seal,
    /// A sealed secret cannot be opened: it was changed, moved to another place, or sealed with another key.
    #[error("a stored secret cannot be opened: write it again")]
    Open,
    /// The database was set up with another master key.
    #[error(
        "the master key is not the one that this database was set up with: restore master.key, or set \
         CROSSWAY_MASTER_KEY to the key it had"
    )]
    WrongMasterKey,
}

/// What the master key is used for. The 32 bytes themselves are wiped as soon as the subkeys are derived; what is left
/// cannot be printed.
pub struct MasterKey {
    key_hash: hmac::Key,
    results: hmac::Key,
    sealing: LessSafeKey,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[master key]")
    }
}

impl MasterKey {
    /// Returns the key given in the environment, else the one in `master.key`, else a new one that is written there
    /// with mode 0600.
    ///
    /// # Errors
    /// When the value or the file is malformed (empty included), or the file cannot be read or written.
    pub fn load_or_create(data_dir: &Path, from_env: Option<&str>) -> Result<Self, SealError> {
        let bytes = match from_env {
            Some(text) => parse_hex(text).ok_or(SealError::MalformedValue)?,
            None => load(data_dir)?.map_or_else(|| create(data_dir), Ok)?,
        };
        let master = hmac::Key::new(hmac::HMAC_SHA256, bytes.as_slice());
        let subkey = hmac::sign(&master, KEY_HASH_LABEL);
        let results = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&master, results::LABEL).as_ref());
        let sealing = Zeroizing::new(hmac::sign(&master, SEAL_LABEL).as_ref().to_vec());
        let sealing = UnboundKey::new(&AES_256_GCM, &sealing).map_err(|_| SealError::Seal)?;
        let key_hash = hmac::Key::new(hmac::HMAC_SHA256, subkey.as_ref());
        Ok(Self { key_hash, results, sealing: LessSafeKey::new(sealing) })
    }

    /// Returns what hashes and seals the results of requests that may be sent twice.
    pub fn results(&self) -> ResultKeys {
        ResultKeys::derive(&self.results)
    }

    /// Encrypts a secret with AES-256-GCM and a random nonce. It can be opened only for the same `place`.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal(&self, place: &str, secret: &Secret) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| SealError::Random)?;
        let mut text = secret.expose().as_bytes().to_vec();
        self.sealing
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place.as_bytes()), &mut text)
            .map_err(|_| SealError::Seal)?;
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&text);
        Ok(format!("{SEALED_PREFIX}{}", STANDARD_NO_PAD.encode(bytes)))
    }

    /// Opens what [`MasterKey::seal`] made for the same place.
    ///
    /// # Errors
    /// [`SealError::Open`].
    pub fn open(&self, place: &str, sealed: &str) -> Result<Secret, SealError> {
        let text = sealed.strip_prefix(SEALED_PREFIX).ok_or(SealError::Open)?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| SealError::Open)?;
        let (nonce, text) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Open)?;
        let mut text = Zeroizing::new(text.to_vec());
        let opened = self
            .sealing
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(place.as_bytes()), &mut text)
            .map_err(|_| SealError::Open)?;
        std::str::from_utf8(opened).map(Secret::new).map_err(|_| SealError::Open)
    }

    /// Returns a value by which [`MasterKey::recognise`] tells this master key from others.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn check_value(&self) -> Result<String, SealError> {
        self.seal(CHECK, &Secret::new(CHECK_TEXT))
    }

    /// Checks a value that [`MasterKey::check_value`] made.
    ///
    /// # Errors
    /// [`SealError::WrongMasterKey`].
    pub fn recognise(&self, check_value: &str) -> Result<(), SealError> {
        self.open(CHECK, check_value).map(|_| ()).map_err(|_| SealError::WrongMasterKey)
    }

    /// Returns the hash under which an API key's secret is stored: HMAC-SHA256 with a subkey of the master key.
    pub fn key_hash(&self, secret: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.key_hash, secret.as_bytes());
        let mut hash = [0; 32];
        for (to, from) in hash.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        hash
    }
}

/// Returns a new API key's secret: `sk-cw-` and 256 random bits as 64 lower-case hexadecimal digits.
///
/// # Errors
/// When the system gives no random bytes.
pub fn generate_secret() -> Result<Secret, SealError> {
    let bytes = random()?;
    Ok(Secret::new(format!("{SECRET_PREFIX}{}", print_hex(&bytes).as_str())))
}

/// Returns the part of a secret that people may see.
pub fn shown_prefix(secret: &Secret) -> String {
    secret.expose().chars().take(SHOWN_CHARACTERS).collect()
}

fn random() -> Result<Zeroizing<[u8; 32]>, SealError> {
    let mut bytes = Zeroizing::new([0; 32]);
    rand::fill(bytes.as_mut_slice()).map_err(|_| SealError::Random)?;
    Ok(bytes)
}

fn load(data_dir: &Path) -> Result<Option<Zeroizing<[u8; 32]>>, SealError> {
    match fs::read_to_string(data_dir.join(FILE)) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            parse_hex(text.trim_ascii_end()).map(Some).ok_or(SealError::MalformedFile)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(SealError::MalformedFile),
        Err(error) => Err(SealError::Read(error)),
    }
}

/// Writes a new key beside the place and links it there, so that it appears whole or not at all and never replaces one
/// that another process made in the meantime.
fn create(data_dir: &Path) -> Result<Zeroizing<[u8; 32]>, SealError> {
    let bytes = random()?;
    let target = data_dir.join(FILE);
    let temporary = data_dir.join(format!("{FILE}.{}.tmp", std::process::id()));
    fs::create_dir_all(data_dir).map_err(SealError::Create)?;
    write_private(&temporary, &print_hex(&bytes)).map_err(SealError::Create)?;
    let linked = fs::hard_link(&temporary, &target);
    match linked {
        Ok(()) => fs::remove_file(&temporary).map_err(SealError::Create)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&temporary).map_err(SealError::Create)?;
            return load(data_dir)?.ok_or(SealError::MalformedFile);
        }
        // A file system without hard links.
        Err(_) => fs::rename(&temporary, &target).map_err(SealError::Create)?,
    }
    File::open(data_dir).and_then(|dir| dir.sync_all()).map_err(SealError::Create)?;
    Ok(bytes)
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn print_hex(bytes: &[u8; 32]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(64));
    for byte in bytes {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn parse_hex(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = Zeroizing::new([0; 32]);
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}
