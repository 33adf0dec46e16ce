// The people of the household: their accounts, what each sees, and invitations.
import { useState } from "preact/hooks";

import { get } from "../api/client";
import { count, texts } from "../i18n";
import { words } from "../i18n/manage";
import { agoText } from "../i18n/times";
import { Invitations } from "../manage/Invitations";
import { AddDialog, ChangeDialog, RemoveDialog } from "../manage/UserDialogs";
import type { Status, User, Users } from "../manage/types";
import { Failure } from "../ui/Message";
import { useOnce } from "../ui/once";
import { useTitle } from "../ui/title";
import "../styles/manage.css";

type Open = { kind: "add" } | { kind: "change" | "remove"; user: User };

export default function People() {
  const say = words.value.people;
  const [open, setOpen] = useState<Open | null>(null);
  const found = useOnce(async () => {
    const [people, status] = await Promise.all([get<Users>("/api/v1/users"), get<Status>("/api/v1/host/status")]);
    return { ...people, roots: status.photo_roots.map(({ name }) => name) };
  });
  useTitle(say.title);
  if (found.error) return <Failure error={found.error} onRetry={found.again} />;
  if (!found.value) return <p class="loading">{texts.value.loading}</p>;
  const { users, roots, can_invite } = found.value;
  const ends = { onClose: () => setOpen(null), onDone: found.again };
  return (
    <div class="page manage">
      <h1>{say.title}</h1>
      <button type="button" class="main" onClick={() => setOpen({ kind: "add" })}>
        {say.add}
      </button>
      {users.length === 0 && <p class="soft">{say.none}</p>}
      <ul class="rows">
        {users.map((user) => (
          <Person key={user.user_id} user={user} onOpen={setOpen} />
        ))}
      </ul>
      <Invitations canInvite={can_invite} />
      {open?.kind === "add" && <AddDialog roots={roots} {...ends} />}
      {open?.kind === "change" && <ChangeDialog user={open.user} roots={roots} {...ends} />}
      {open?.kind === "remove" && <RemoveDialog user={open.user} {...ends} />}
    </div>
  );
}

function Person({ user, onOpen }: { user: User; onOpen: (open: Open) => void }) {
  const say = words.value.people;
  const sees = user.library === "some" ? say.sees.some(user.roots.join(", ")) : say.sees[user.library];
  return (
    <li class="row">
      <div>
        <p class="row-name" dir="auto">
          {user.username}
          {user.role === "admin" && <span class="badge">{say.admin}</span>}
        </p>
        <p class="soft">
          {sees} · {count(user.devices, say.devices)}
          {user.last_login_at && ` · ${say.lastLogin(agoText(user.last_login_at))}`}
        </p>
        {user.role === "admin" && <p class="soft">{say.adminHint}</p>}
      </div>
      {user.role !== "admin" && (
        <div class="row-acts">
          <button type="button" aria-label={`${say.change}: ${user.username}`} onClick={() => onOpen({ kind: "change", user })}>
            {say.change}
          </button>
          <button type="button" class="danger" aria-label={`${say.remove}: ${user.username}`} onClick={() => onOpen({ kind: "remove", user })}>
            {say.remove}
          </button>
        </div>
      )}
    </li>
  );
}
