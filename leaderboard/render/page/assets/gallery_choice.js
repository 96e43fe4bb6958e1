// Which test images are shown, and what rows say of each: the browser's side of leaderboard/image_choice.py, under the
// setting of the page (classes, keypoints, seeds) and for the rows that are chosen. No DOM.
(() => {
  "use strict";
  const KB = (globalThis.KB ??= {});

  /** Answers of a row, or null where the page does not hold them: {seeds: positions in row.seeds, at(seed, instance, keypoint)}. */
  function answersOf(board, row, setting) {
    const values = KB.score?.answers?.(board, row) ?? null;
    if (!values) return null;
    const [m, k] = [board.instances, board.keypoints.length];
    const seeds = row.seeds.map((_, s) => s).filter((s) => !setting.seeds || setting.seeds.has(row.seeds[s]));
    return { seeds, at: (s, i, j) => values.subarray(((s * m + i) * k + j) * 2, ((s * m + i) * k + j) * 2 + 2) };
  }

  /** What the setting leaves of a board: instances of each image that are looked at, and keypoints that are. */
  function part(board, setting) {
    const known = KB.score.arrays(board);
    const instances = Array.from({ length: board.images }, () => []);
    for (let i = 0; i < board.instances; i++) {
      if (!setting.classes || setting.classes.has(known.classes[i])) instances[known.index[i]].push(i);
    }
    const keypoints = board.keypoints.map((_, j) => j).filter((j) => !setting.keypoints || setting.keypoints.has(j));
    const labelled = (i, j) => known.visible[i * board.keypoints.length + j] > 0;
    const truth = (i, j) => known.truth.subarray((i * board.keypoints.length + j) * 2, (i * board.keypoints.length + j) * 2 + 2);
    return { instances, keypoints, labelled, truth, classes: known.classes };
  }

  /** Mean distance in px of a row's answers in an image with one seed: NaN where it has none, null where there is nothing. */
  function error(view, answers, s, image) {
    let [sum, count, asked] = [0, 0, 0];
    for (const i of view.instances[image]) {
      for (const j of view.keypoints) {
        if (!view.labelled(i, j)) continue;
        asked++;
        const [x, y] = answers.at(s, i, j);
        if (Number.isNaN(x)) continue;
        const [u, v] = view.truth(i, j);
        sum += Math.hypot(x - u, y - v);
        count++;
      }
    }
    return !asked ? null : count ? sum / count : NaN;
  }

  /** Mean over seeds of `error`; NaN where a seed has no answer. */
  function meanError(view, answers, image) {
    const errors = answers.seeds.map((s) => error(view, answers, s, image));
    if (!errors.length || errors.includes(null)) return null;
    return errors.reduce((sum, one) => sum + one, 0) / errors.length;
  }

  /** How far rows are apart about an image: the mean distance of their answers from their median; as image_choice.dispute. */
  function dispute(view, rows, image) {
    let [sum, count] = [0, 0];
    for (const i of view.instances[image]) {
      for (const j of view.keypoints) {
        if (!view.labelled(i, j)) continue;
        const said = rows.flatMap((answers) => answers.seeds.map((s) => answers.at(s, i, j))).filter(([x]) => !Number.isNaN(x));
        if (said.length < 2) continue;
        const [u, v] = [0, 1].map((axis) => median(said.map((point) => point[axis])));
        for (const [x, y] of said) sum += Math.hypot(x - u, y - v);
        count += said.length;
      }
    }
    return count ? sum / count : 0;
  }

  function median(values) {
    const sorted = Float64Array.from(values).sort();
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  /** Positions of images by falling value; of equal ones the earlier first. Values of null are left out. */
  function byValue(images, value, count) {
    const valued = images.map((i) => [i, value(i)]).filter(([, one]) => one !== null);
    const key = (one) => (Number.isNaN(one) ? Infinity : one);
    return valued.sort(([i, a], [j, b]) => (key(a) === key(b) ? i - j : key(b) > key(a) ? 1 : -1)).slice(0, count).map(([i]) => i);
  }

  /** Positions of the images where the rows are worst on average, the worst first; one without an answer comes before all. */
  function worst(view, rows, count) {
    const known = rows.filter((answers) => answers.seeds.length);
    const value = (image) => {
      const errors = known.map((answers) => meanError(view, answers, image));
      return errors.includes(null) || !errors.length ? null : errors.reduce((sum, one) => sum + one, 0) / errors.length;
    };
    return byValue(occupied(view), value, count);
  }

  /** Positions of the images that rows dispute most; none where they agree. */
  function disputed(view, rows, count) {
    const value = (image) => dispute(view, rows, image) || null;
    return byValue(occupied(view), value, count);
  }

  /** Positions of images with something to look at. */
  const occupied = (view) => view.instances.flatMap((some, image) => (some.length ? [image] : []));

  KB.galleryChoice = { answersOf, disputed, error, meanError, part, worst };
})();
