// SPDX-License-Identifier: Apache-2.0
//! Signatures that our own generator cannot make: `aws-lc-rs` signs RSA-PSS with a salt as long as the hash only.
//! Made with OpenSSL 3: `openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:N -sign`, over the
//! nine bytes `sealwatch`.

use super::*;

const MESSAGE: &[u8] = b"sealwatch";
const KEY: &str = concat!(
    "30820122300d06092a864886f70d01010105000382010f003082010a0282010100bc9fff029cad56746856af4481d2e7369b3769c864",
    "b0c5c1996ca88f4ffbe35464da5a0bdeff81abb641c83b2d05524fcfc1e062e3eb4f1216d80a4664a1be6d0489c4351360bf366e6dc3",
    "0122550e03d11425d855968adbfb7ccd9b14a4577b1ee072a1b72c5a3a12823fc4d5d792e7773d460f5491c39ffc0c0bba3d8ca89b54",
    "45af9697a99c1aeeb9d1ebb3f695d328cf88c720b62f02d56b4d6a7e6ba26a5281ddddaa668333a546b6cdf5a575306785681ff40b3f",
    "58aa528d6c7df20d3374e97ea957887add716d433ed1e48423cc36153329960142ceffee54ea903e8d95f91c4ef9373c4e66b8c84981",
    "b5f04eeb4d0f5948e518695ac0bc66da0e2af50203010001",
);
const SALT_32: &str = concat!(
    "a022b7c097bc4729b43c70b63c622c3dda119f726b1996b868dcf9eb10d2ed2b1b6b63f72a154fbabe2549a0e1782c0a9380fc9b1ed6",
    "70d4c63e5e91b2ee0765938232709b25cde4b4b123bfc9f4d9f5e3f2c4840451e22c46cfba972ce22363630311006d0eebdc9193c351",
    "3f9ca7d881da1ecf5eff8da1104d45c1ed0ebc4364d5de9f0669cec2b2c2aef67b3137feb0664c2105e10f7ff87821b783267b57a5eb",
    "79c1a09a1046d7e39cc8ef88db5c6941265b20e03eba2c3b47bebce0a4296aafe87b08f205ebcab3d8853204c97e21711ff2676cb04d",
    "d691e2ac90bf0f541c53f4a4b844f28e0a04aab9b6bd32f607da713fc7d83ed42bc13ae93752c9d6",
);
const SALT_0: &str = concat!(
    "07504db9ab68cc59aa8f357a00b5ead3e2231d8d8ce4150b2a582fd2fc8a88cca9865173b2ff50d30c1525ba31939862c656a9c3f1b7",
    "f725695e47b04b0887d4e1cbb6ea1399799398d807fda20aeff494f97ba4f090bcda3f5e7d5a115a7c5ad8a9347e370b118e99e8c32b",
    "f6892884758b8c40813b81787a46aa60a27e1de6529167d055a8282b967367f40fce45d14bbdc58f4dea86b767eb32ffa3e9d847d71a",
    "0200b9f2e5662cb1d2298ae98ccde723641029bee99180e27c424b66ce13d4d620d6b68f5bf1602e57152d04b5831b91d4e147a5db94",
    "22e18f40712b063317ef0fee78bf18c143124d8e21dd0915747a108dc46429ca6d7e0df112c2fdf7",
);
const SALT_222: &str = concat!(
    "3d3cf27db4752513deb67bde8f2b47916865c1bfc54485c51ef872552c06e993ab1d7cf75a1c32c34486f791f08739f0b77dd17143b6",
    "844c121fdf3d4e508f8f20cb4751c996bfa362e04b11f0b52a3d3c9902626239532145294b95b3f0a3bc00a010841ad001091eed5b5d",
    "b0560f12e848ad41fd110f2256396f42ca56ee9d2a21f20cbd708abce6ae7d31a1b5034b4db16ebe6c2565efdaf63766ffd7f2dbf2b7",
    "2436291460858717b035712f760848e5210d4213a4060b433c00782b82a50f75b86981573571a7ca34ffead83469b9bcbdb980d11e1d",
    "534dda9e722d37396c9775864ff80dfbbfcdc3817ad6970dee3dfdbe7a47317374240f7a85e4b614",
);

fn bytes(hex: &str) -> Vec<u8> {
    let (pairs, _) = hex.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal");
    pairs.iter().map(byte).collect()
}

fn key() -> PublicKey {
    PublicKey::from_der(&bytes(KEY)).expect("a key")
}

/// JW-8.
#[test]
fn the_salt_of_rsa_pss_must_be_as_long_as_the_hash() {
    let verifies = |signature| key().verifies_envelope(SignatureAlgorithm::Ps256, MESSAGE, &bytes(signature));
    assert!(verifies(SALT_32));
    assert!(!verifies(SALT_0), "an empty salt, which notation-go accepts in JWS");
    assert!(!verifies(SALT_222), "the longest salt, which notation-go accepts in JWS");
}

/// JW-6, CO-3: a good signature under another algorithm's name is none.
#[test]
fn a_key_verifies_with_its_own_algorithm_only() {
    for algorithm in SignatureAlgorithm::ALL {
        let verifies = key().verifies_envelope(algorithm, MESSAGE, &bytes(SALT_32));
        assert_eq!(verifies, algorithm == SignatureAlgorithm::Ps256, "{algorithm}");
    }
}

/// RFC 4055 section 3.1: SHA-256, MGF1 with SHA-256, salt of 32 bytes, trailer 1 left out.
const PSS_SHA_256: &str = concat!(
    "303d06092a864886f70d01010a3030a00d300b0609608648016503040201",
    "a11a301806092a864886f70d010108300b0609608648016503040201a203020120"
);

#[test]
fn rsa_pss_in_certificates_needs_equal_hashes_and_a_salt_of_their_length() {
    let verifies = |algorithm: &str| key().verifies_certificate(&bytes(algorithm), MESSAGE, &bytes(SALT_32));
    assert!(verifies(PSS_SHA_256));
    for (what, algorithm) in [
        ("another salt length", PSS_SHA_256.replace("a203020120", "a203020100")),
        ("SHA-384 in MGF1", PSS_SHA_256.replace("300b0609608648016503040201a2", "300b0609608648016503040202a2")),
        ("SHA-384 as hash", PSS_SHA_256.replace("a00d300b0609608648016503040201", "a00d300b0609608648016503040202")),
        ("no parameters, and so SHA-1", "300b06092a864886f70d01010a".to_owned()),
        ("empty parameters, and so SHA-1", "300d06092a864886f70d01010a3000".to_owned()),
        ("PKCS #1 v1.5", "300d06092a864886f70d01010b0500".to_owned()),
        ("nothing", String::new()),
    ] {
        assert_ne!(algorithm, PSS_SHA_256, "{what}");
        assert!(!verifies(&algorithm), "{what}");
    }
}
