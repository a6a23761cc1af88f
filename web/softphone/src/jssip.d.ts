// The two inner modules of JsSIP that `digest` reaches into; JsSIP types its front door only.

declare module "jssip/lib/DigestAuthentication" {
  export default class DigestAuthentication {
    _algorithm: string;
    authenticate(request: unknown, challenge: object, cnonce?: string): boolean;
  }
}

declare module "jssip/lib/Utils" {
  const Utils: { calculateMD5: (text: string) => string };
  export default Utils;
}
