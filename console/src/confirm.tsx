/** A question before something that cannot be undone; it names what would happen. */

import { useEffect, useRef, useState } from "preact/hooks";
import { ServiceError } from "./api.ts";
import { Problem } from "./parts.tsx";

export interface Question {
  title: string;
  text: string;
  verb: string;
  act: () => Promise<unknown>;
}

export function Confirm({ question, onClose }: { question: Question; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<ServiceError>();
  useEffect(() => dialog.current?.showModal(), []);
  const act = async () => {
    setBusy(true);
    try {
      await question.act();
      dialog.current?.close();
    } catch (reason) {
      setError(reason instanceof ServiceError ? reason : new ServiceError(0, {}, null));
    }
    setBusy(false);
  };
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="question">
      <h2 id="question">{question.title}</h2>
      <p>{question.text}</p>
      {error && <Problem error={error} />}
      <div class="actions">
        {/* The harmless one first, because the first one takes the focus and the Enter. */}
        <button type="button" onClick={() => dialog.current?.close()}>
          Keep it as it is
        </button>
        <button type="button" class="danger" disabled={isBusy} onClick={() => void act()}>
          {question.verb}
        </button>
      </div>
    </dialog>
  );
}
