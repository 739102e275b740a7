// One request at a time, and always the newest: what has changed meanwhile is sent when the last answer is there, and what
// was overtaken is never sent. So there is no queue, however fast a pen moves.

export const latest = (send, shown, failed) => {
  let wanted = null;
  let busy = false;
  let round = 0; // `drop` makes what is under way count for nothing
  const work = async () => {
    if (busy) return;
    busy = true;
    while (wanted) {
      const { value } = wanted;
      const own = round;
      wanted = null;
      try {
        const answer = await send(value);
        if (own === round) shown(answer, value);
      } catch (error) {
        if (own === round && !wanted) failed(error, value);
      }
    }
    busy = false;
  };
  return {
    push: (value) => {
      wanted = { value };
      work();
    },
    drop: () => {
      wanted = null;
      round += 1;
    },
  };
};
