// Invitations: those that are open, making one, taking one back.
import { useState } from "preact/hooks";

import { get, post, remove } from "../api/client";
import { words } from "../i18n/manage";
import { agoText } from "../i18n/times";
import { sentence } from "../ui/Message";
import { notice } from "../ui/notices";
import { useOnce } from "../ui/once";

interface Invitation {
  id: number;
  email: string | null;
  expires_at: string;
}

export function Invitations({ canInvite }: { canInvite: boolean }) {
  const say = words.value.people;
  const [code, setCode] = useState("");
  const found = useOnce(() => get<{ invitations: Invitation[] }>("/api/v1/invitations"));
  const invite = (): void => {
    post<{ code: string }>("/api/v1/invitations").then(
      (made) => {
        setCode(made.code);
        found.again();
      },
      (error: unknown) => notice(sentence(error)),
    );
  };
  const withdraw = (id: number): void => {
    remove(`/api/v1/invitations/${id}`).then(found.again, (error: unknown) => notice(sentence(error)));
  };
  const open = found.value?.invitations ?? [];
  return (
    <section>
      <h2>{say.invitations}</h2>
      {canInvite ? (
        <button type="button" onClick={invite}>
          {say.invite}
        </button>
      ) : (
        <p class="soft">{say.inviteOff}</p>
      )}
      {code && (
        <p class="hint" role="status">
          {say.invited} <span class="code">{code}</span>
        </p>
      )}
      {found.value && open.length === 0 && <p class="soft">{say.inviteNone}</p>}
      <ul class="rows">
        {open.map((invitation) => (
          <li key={invitation.id} class="row">
            <p>
              {invitation.email ?? say.inviteCode} <span class="soft">· {say.inviteEnds(agoText(invitation.expires_at))}</span>
            </p>
            <button type="button" onClick={() => withdraw(invitation.id)}>
              {say.withdraw}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
