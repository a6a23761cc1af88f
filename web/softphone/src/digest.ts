// JsSIP answers MD5 challenges only. RFC 8760: here it answers SHA-256 too, by its own code with the other hash.

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import DigestAuthentication from "jssip/lib/DigestAuthentication";
import Utils from "jssip/lib/Utils";

interface Challenge {
  algorithm?: string;
}

const hash = (text: string): string => bytesToHex(sha256(utf8ToBytes(text)));
const { authenticate } = DigestAuthentication.prototype;

DigestAuthentication.prototype.authenticate = function (request: unknown, challenge: Challenge, cnonce?: string): boolean {
  if (challenge.algorithm?.toUpperCase() !== "SHA-256") {
    return authenticate.call(this, request, challenge, cnonce);
  }
  const { calculateMD5 } = Utils;
  Utils.calculateMD5 = hash;
  try {
    const answered = authenticate.call(this, request, { ...challenge, algorithm: "MD5" }, cnonce);
    this._algorithm = "SHA-256";
    return answered;
  } finally {
    Utils.calculateMD5 = calculateMD5;
  }
};
