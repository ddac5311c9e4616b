//! Signatures of every allowed kind, made here with keys of the test.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A key as the provider shows it, and how it signs.
fn key(algorithm: &str, kid: &str) -> (Value, Sign) {
    let random = SystemRandom::new();
    match algorithm {
        "ES256" => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
            let point = pair.public_key().as_ref().to_vec();
            let shown = json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256",
                               "x": b64(&point[1..33]), "y": b64(&point[33..])});
            (shown, Box::new(move |text| pair.sign(&random, text).unwrap().as_ref().to_vec()))
        }
        "EdDSA" => {
            let pair = Ed25519KeyPair::generate().unwrap();
            let shown = json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(pair.public_key().as_ref())});
            (shown, Box::new(move |text| pair.sign(text).as_ref().to_vec()))
        }
        _ => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let parts: PublicKeyComponents<Vec<u8>> = pair.public_key().into();
            let shown = json!({"kty": "RSA", "kid": kid, "n": b64(&parts.n), "e": b64(&parts.e)});
            let padding: &'static dyn aws_lc_rs::signature::RsaEncoding =
                if algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
            (
                shown,
                Box::new(move |text| {
                    let mut signature = vec![0; pair.public_modulus_len()];
                    pair.sign(padding, &random, text, &mut signature).unwrap();
                    signature
                }),
            )
        }
    }
}

fn token(header: &Value, sign: &Sign) -> String {
    let text = format!("{}.{}", b64(header.to_string()), b64(json!({"sub": "s1"}).to_string()));
    let signature = sign(text.as_bytes());
    format!("{text}.{}", b64(signature))
}

fn keys(shown: &[&Value]) -> Keys {
    Keys::read(json!({"keys": shown}).to_string().as_bytes()).unwrap()
}

fn good(keys: &Keys, token: &str) -> bool {
    matches!(keys.verify(token), Ok(Verified::Good(claims)) if claims["sub"] == "s1")
}

#[test]
fn every_allowed_algorithm_is_verified() {
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        let (shown, sign) = key(algorithm, "k1");
        let (other, _) = key(algorithm, "k1");
        let signed = token(&json!({"alg": algorithm, "kid": "k1"}), &sign);
        assert!(good(&keys(&[&shown]), &signed), "{algorithm}");
        assert!(good(&keys(&[&shown]), &token(&json!({"alg": algorithm}), &sign)), "{algorithm} without a name");
        assert_eq!(keys(&[&other]).verify(&signed), Err(OidcError::Token("its signature is wrong")), "{algorithm}");
        let (head, tail) = signed.split_at(signed.len() - 20);
        let broken = format!("{head}{}{}", if tail.starts_with('A') { "B" } else { "A" }, &tail[1..]);
        assert!(keys(&[&shown]).verify(&broken).is_err(), "{algorithm}");
        let said = signed.replacen(&b64(json!({"sub": "s1"}).to_string()), &b64(json!({"sub": "s2"}).to_string()), 1);
        assert!(keys(&[&shown]).verify(&said).is_err(), "{algorithm}");
        let unknown = token(&json!({"alg": algorithm, "kid": "k2"}), &sign);
        assert_eq!(keys(&[&shown]).verify(&unknown), Ok(Verified::UnknownKey), "{algorithm}");
    }
}

#[test]
fn other_algorithms_are_refused() {
    let (shown, sign) = key("RS256", "k1");
    let modulus = shown["n"].as_str().unwrap().to_owned();
    let none = format!("{}.{}.", b64(json!({"alg": "none"}).to_string()), b64(json!({"sub": "s1"}).to_string()));
    assert!(matches!(keys(&[&shown]).verify(&none), Err(OidcError::Token(_))));
    for algorithm in ["none", "None", "HS256", "HS512", "RS1", "RS384", "ES512", ""] {
        let text = token(&json!({"alg": algorithm, "kid": "k1"}), &sign);
        assert!(matches!(keys(&[&shown]).verify(&text), Err(OidcError::Token(_))), "{algorithm}");
    }
    // The public key as a shared secret.
    let shared = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, modulus.as_bytes());
    let sign: Sign = Box::new(move |text| aws_lc_rs::hmac::sign(&shared, text).as_ref().to_vec());
    let confused = token(&json!({"alg": "HS256", "kid": "k1"}), &sign);
    let oct = json!({"kty": "oct", "kid": "k1", "k": modulus});
    assert!(matches!(keys(&[&shown, &oct]).verify(&confused), Err(OidcError::Token(_))));
}

#[test]
fn keys_are_used_for_what_they_are() {
    let (shown, sign) = key("RS256", "k1");
    let signed = token(&json!({"alg": "RS256", "kid": "k1"}), &sign);
    let change = |name: &str, value: &str| {
        let mut changed = shown.clone();
        changed[name] = json!(value);
        keys(&[&changed]).verify(&signed)
    };
    assert!(matches!(change("use", "sig"), Ok(Verified::Good(_))));
    assert_eq!(change("use", "enc"), Ok(Verified::UnknownKey));
    assert_eq!(change("alg", "PS256"), Ok(Verified::UnknownKey));
    assert!(matches!(change("alg", "RS256"), Ok(Verified::Good(_))));
    let crit = token(&json!({"alg": "RS256", "kid": "k1", "crit": ["exp"], "exp": 1}), &sign);
    assert!(keys(&[&shown]).verify(&crit).is_err());
    // A key that the token brings along is not believed.
    let (own, sign) = key("RS256", "k1");
    let brought = token(&json!({"alg": "RS256", "kid": "k1", "jwk": own}), &sign);
    assert!(keys(&[&shown]).verify(&brought).is_err());
}

#[test]
fn what_is_no_key_or_token_is_passed_over_or_refused() {
    let (shown, sign) = key("ES256", "k1");
    let odd = [json!({"kty": "XYZ"}), json!(1), json!({}), json!({"kty": "EC", "crv": "P-999", "x": "", "y": ""})];
    let all: Vec<&Value> = odd.iter().chain([&shown]).collect();
    assert!(good(&keys(&all), &token(&json!({"alg": "ES256", "kid": "k1"}), &sign)));
    for text in ["", ".", "..", "a.b.c", "a.b", &"x".repeat(MAX_TOKEN + 1)] {
        assert!(keys(&[&shown]).verify(text).is_err());
    }
    for text in ["", "[]", "{}", "{\"keys\":1}"] {
        assert!(Keys::read(text.as_bytes()).is_err(), "{text}");
    }
}
