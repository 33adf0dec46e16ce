// What a browser sees that is not, or not any more, signed in: no photo, and the ways in.
import { texts } from "../i18n";
import type { SessionState } from "../session";
import { Message } from "../ui/Message";

export default function SignedOut({ state }: { state: SessionState }) {
  const words = texts.value.session;
  const isRevoked = state === "revoked";
  return (
    <main class="signed-out">
      <Message title={isRevoked ? words.revoked : words.ended} hint={isRevoked ? words.revokedHint : words.endedHint}>
        <p class="actions">
          <a class="button" href="/login">
            {words.signIn}
          </a>
          <a class="button" href="/pair">
            {words.pair}
          </a>
        </p>
      </Message>
    </main>
  );
}
