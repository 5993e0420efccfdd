//! The scripts of FIX 4.4 Volume 4, Appendix D, and of what venues do beside it. `D X 10000`, `G Y X
//! 12000` and `F Y X` are sent; `8 ids exec status qty cum leaves last => Event` and `9 ids status =>
//! Event` are the venue's answers and what the maker is told.

/// Title, script, orders live at the end.
pub const MATRICES: &[(&str, &str, usize)] = &[
    (
        "A.1.a filled order",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        8 X F 1 10000 2000 8000 2000 => Fill
        8 X F 1 10000 3000 7000 1000 => Fill
        8 X F 2 10000 10000 0 7000 => Fill",
        0,
    ),
    (
        "A.1.a rejected",
        "
        D X 10000
        8 X 8 8 10000 0 0 0 => Rejected",
        0,
    ),
    (
        "A.1.b part-filled day order, done for day",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        8 X F 1 10000 2000 8000 2000 => Fill
        8 X F 1 10000 3000 7000 1000 => Fill
        8 X 3 3 10000 3000 0 0 => Canceled",
        0,
    ),
    (
        "B.1.a cancel of a zero-filled order",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        F Y X
        8 Y,X 6 6 10000 0 10000 0 => Pending
        8 Y,X 4 4 10000 0 0 0 => Canceled",
        0,
    ),
    (
        "B.1.a cancel refused",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        F Y X
        9 Y,X 0 => CancelRejected",
        1,
    ),
    (
        "B.1.b cancel of a part-filled order, executions while the cancel is active",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        8 X F 1 10000 2000 8000 2000 => Fill
        F Y X
        8 X F 1 10000 5000 5000 3000 => Fill
        8 Y,X 6 6 10000 5000 5000 0 => Pending
        8 X F 6 10000 6000 4000 1000 => Fill
        8 Y,X 4 4 10000 6000 0 0 => Canceled",
        0,
    ),
    (
        "B.1.c order becomes filled before the cancel can be accepted",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        8 X F 1 10000 2000 8000 2000 => Fill
        F Y X
        8 X F 1 10000 5000 5000 3000 => Fill
        8 Y,X 6 6 10000 5000 5000 0 => Pending
        8 X F 6 10000 10000 0 5000 => Fill
        9 Y,X 2 => CancelRejected",
        0,
    ),
    (
        "B.1.d cancel of an order that has not been acknowledged",
        "
        D X 10000
        F Y X
        8 Y,X 6 6 10000 0 10000 0 => Pending
        8 X 0 6 10000 0 10000 0 => New
        8 Y,X 4 4 10000 0 0 0 => Canceled",
        0,
    ),
    (
        "B.1.e cancel of an order that is then rejected",
        "
        D X 10000
        8 X A A 10000 0 10000 0 => Pending
        F Y X
        8 Y,X 6 6 10000 0 10000 0 => Pending
        8 X 8 8 10000 0 0 0 => Rejected
        9 Y,X 8 => CancelRejected",
        0,
    ),
    (
        "B.1.f cancel of an unknown order",
        "
        F Y Z
        9 Y,Z 8 => CancelRejected",
        0,
    ),
    (
        "C.1.a zero-filled order, replace to increase",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        G Y X 11000
        8 Y,X E E 10000 0 10000 0 => Pending
        8 Y,X 5 0 11000 0 11000 0 => Replaced
        8 Y F 1 11000 1000 10000 1000 => Fill
        8 Y F 2 11000 11000 0 10000 => Fill",
        0,
    ),
    (
        "C.1.b part-filled order, replace to increase, execution while pending",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        8 X F 1 10000 1000 9000 1000 => Fill
        G Y X 12000
        8 Y,X E E 10000 1000 9000 0 => Pending
        8 X F E 10000 1100 8900 100 => Fill
        8 Y,X 5 1 12000 1100 10900 0 => Replaced
        8 Y F 2 12000 12000 0 10900 => Fill",
        0,
    ),
    (
        "C.1.c filled order, replace to increase crosses the last fill",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        G Y X 12000
        8 X F 2 10000 10000 0 10000 => Fill
        8 Y,X E E 10000 10000 0 0 => Pending
        8 Y,X 5 1 12000 10000 2000 0 => Replaced
        8 Y F 2 12000 12000 0 2000 => Fill",
        0,
    ),
    (
        "C.2.a replace refused because a fill has occurred",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        G Y X 10000
        8 X F 2 10000 10000 0 10000 => Fill
        9 Y,X 2 => CancelRejected",
        0,
    ),
    (
        "C.3.a replace to decrease crosses an execution; quantity above what is filled",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        G Y X 8000
        8 X F 1 10000 500 9500 500 => Fill
        8 Y,X E E 10000 500 9500 0 => Pending
        8 Y,X 5 1 8000 500 7500 0 => Replaced
        8 Y F 2 8000 8000 0 7500 => Fill",
        0,
    ),
    (
        "C.3.b replace to decrease to exactly what is filled",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        G Y X 7000
        8 X F 1 10000 7000 3000 7000 => Fill
        8 Y,X 5 2 7000 7000 0 0 => Replaced",
        0,
    ),
    (
        "C.3.c replace to decrease below what is filled",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        G Y X 7000
        8 X F 1 10000 8000 2000 8000 => Fill
        8 Y,X 5 2 8000 8000 0 0 => Replaced",
        0,
    ),
    (
        "D.1.a one replace accepted, then another",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        G Y X 8000
        8 Y,X E E 10000 0 10000 0 => Pending
        8 Y,X 5 0 8000 0 8000 0 => Replaced
        G Z Y 6000
        8 Z,Y E E 8000 0 8000 0 => Pending
        8 Z,Y 5 0 6000 0 6000 0 => Replaced
        8 Z F 2 6000 6000 0 6000 => Fill",
        0,
    ),
    (
        "D.1.b one replace refused, then another accepted",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        G Y X 8000
        9 Y,X 0 => CancelRejected
        G Z X 6000
        8 Z,X E E 10000 0 10000 0 => Pending
        8 Z,X 5 0 6000 0 6000 0 => Replaced",
        1,
    ),
    (
        "D.1.c two replaces on their way at once, both accepted",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        G Y X 8000
        G Z Y 6000
        8 Y,X E E 10000 0 10000 0 => Pending
        8 Y,X 5 0 8000 0 8000 0 => Replaced
        8 Z,Y E E 8000 0 8000 0 => Pending
        8 Z,Y 5 0 6000 0 6000 0 => Replaced",
        1,
    ),
    (
        "D.2.a cancel while a replace is pending",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        G Y X 8000
        F Z Y
        8 Y,X E E 10000 0 10000 0 => Pending
        8 Y,X 5 0 8000 0 8000 0 => Replaced
        8 Z,Y 6 6 8000 0 8000 0 => Pending
        8 Z,Y 4 4 8000 0 0 0 => Canceled",
        0,
    ),
    (
        "E.1.b unsolicited cancel of a part-filled order",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        8 X F 1 10000 1000 9000 1000 => Fill
        8 X 4 4 10000 1000 0 0 => Canceled",
        0,
    ),
    (
        "E.1.c unsolicited replacement",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        8 X F 1 10000 1000 9000 1000 => Fill
        8 X D 1 11000 1000 10000 0 => Restated",
        1,
    ),
    (
        "E.1.d unsolicited replacement that says Replaced",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        8 X 5 0 9000 0 9000 0 => Restated",
        1,
    ),
    (
        "G.1.b order status, order partly filled",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        8 X F 1 10000 1000 9000 1000 => Fill
        8 X I 1 10000 1000 9000 0 => Status",
        1,
    ),
    (
        "H.1.a good-till-cancel order, done for day, restated, filled",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        8 X F 1 10000 2000 8000 2000 => Fill
        8 X 3 3 10000 2000 8000 0 => Canceled
        8 X D 1 10000 2000 8000 0 => Restated
        8 X F 2 10000 10000 0 8000 => Fill",
        0,
    ),
    (
        "H.1.b good-till-cancel order with a 2:1 split",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        8 X F 1 10000 2000 8000 2000 => Fill
        8 X D 1 20000 4000 16000 0 => Restated
        8 X F 1 20000 9000 11000 5000 => Fill",
        1,
    ),
    (
        "I.1.a fill-or-kill that cannot be filled",
        "
        D X 10000
        8 X 4 4 10000 0 0 0 => Canceled",
        0,
    ),
    (
        "I.1.b immediate-or-cancel, partly filled",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        8 X F 1 10000 1000 9000 1000 => Fill
        8 X 4 4 10000 1000 0 0 => Canceled",
        0,
    ),
    (
        "J.1.a filled order, an execution corrected, another cancelled",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        8 X F 1 10000 1000 9000 1000 => Fill
        8 X F 2 10000 10000 0 9000 => Fill
        8 X G 2 10000 10000 0 9000 => TradeCorrected
        8 X H 1 10000 9000 1000 1000 => TradeCanceled",
        // What was undone works again, and the maker was told that the order is gone.
        1,
    ),
    (
        "J.1.b cancelled order, its execution cancelled and done again",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        8 X F 1 10000 5000 5000 5000 => Fill
        F Y X
        8 Y,X 6 6 10000 5000 5000 0 => Pending
        8 Y,X 4 4 10000 5000 0 0 => Canceled
        8 X H 4 10000 0 0 5000 => TradeCanceled
        8 X F 4 10000 4000 0 4000 => Fill",
        0,
    ),
    (
        "K.1.a trading halt, reinstated",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        8 X 9 9 10000 0 10000 0 => Status
        8 X 0 0 10000 0 10000 0 => New",
        1,
    ),
    (
        "K.1.b trading halt, cancelled",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        8 X 9 9 10000 0 10000 0 => Status
        8 X 4 4 10000 0 0 0 => Canceled",
        0,
    ),
    (
        "L.1.b guarantee of an execution price",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        8 X 7 7 10000 0 10000 0 => Status
        8 X F 1 10000 1000 9000 1000 => Fill
        8 X F 2 10000 10000 0 9000 => Fill",
        0,
    ),
    (
        "fill before its acknowledgement",
        "
        D X 10000
        8 X F 1 10000 1000 9000 1000 => Fill
        8 X 0 1 10000 1000 9000 0 => New",
        1,
    ),
    (
        "expired",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        8 X C C 10000 0 0 0 => Canceled",
        0,
    ),
    (
        "filled, then calculated",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        G Y X 12000
        8 X F 2 10000 10000 0 10000 => Fill
        8 X B B 10000 10000 0 0 => Status
        9 Y,X 2 => CancelRejected",
        0,
    ),
    (
        "FIX 4.2: ExecType 1 and 2 are fills",
        "
        D X 10000
        8 X 0 0 10000 0 10000 0 => New
        8 X 1 1 10000 1000 9000 1000 => Fill
        8 X 2 2 10000 10000 0 9000 => Fill",
        0,
    ),
];
