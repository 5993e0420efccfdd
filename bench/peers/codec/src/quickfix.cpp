// QuickFIX C++ with its FIX44 dictionary behind five C functions. Messages are kept as std::string, which
// QuickFIX wants, so that no copy of ours counts. A negative answer is an exception.
#include <quickfix/DataDictionary.h>
#include <quickfix/Message.h>
#include <quickfix/fix44/MarketDataIncrementalRefresh.h>
#include <quickfix/fix44/NewOrderSingle.h>
#include <string>

namespace {
struct Peer {
    FIX::DataDictionary dictionary;
    std::string messages[3];
    std::string out;
    explicit Peer(const char *xml) : dictionary(std::string(xml)) {}
};

double number(const FIX::FieldMap &map, int tag) {
    return FIX::DoubleConvertor::convert(map.getField(tag));
}
}

extern "C" void *peer_open(const char *xml) {
    try {
        return new Peer(xml);
    } catch (...) {
        return nullptr;
    }
}

extern "C" void peer_keep(void *peer, int which, const char *bytes, size_t length) {
    static_cast<Peer *>(peer)->messages[which].assign(bytes, length);
}

// Splits by the dictionary and reads what a consumer needs; with `validate` holds it to the dictionary too.
extern "C" double peer_read(void *peer, int which, bool validate) {
    Peer &p = *static_cast<Peer *>(peer);
    try {
        FIX::Message m;
        m.setString(p.messages[which], true, &p.dictionary);
        if (validate) p.dictionary.validate(m);
        if (which == 0) {
            m.getField(11), m.getField(54);
            FIX::UtcTimeStampConvertor::convert(m.getField(60));
            return number(m, 38) + number(m, 44);
        }
        if (which == 1) {
            m.getField(37), m.getField(11), m.getField(17), m.getField(150), m.getField(39);
            m.getField(54);
            FIX::UtcTimeStampConvertor::convert(m.getField(60));
            return number(m, 151) + number(m, 14) + number(m, 32) + number(m, 31);
        }
        double sum = 0;
        FIX44::MarketDataIncrementalRefresh::NoMDEntries entry;
        int count = FIX::IntConvertor::convert(m.getField(268));
        for (int n = 1; n <= count; ++n) {
            m.getGroup(n, entry);
            entry.getField(279), entry.getField(269), entry.getField(55);
            sum += number(entry, 270) + number(entry, 271);
        }
        return sum;
    } catch (...) {
        return -1;
    }
}

// A NewOrderSingle with the values that change, as text.
extern "C" double peer_write(void *peer, long n) {
    Peer &p = *static_cast<Peer *>(peer);
    try {
        FIX44::NewOrderSingle m(FIX::ClOrdID("7-1000042"), FIX::Side(n % 2 ? '2' : '1'),
                                FIX::TransactTime(FIX::UtcTimeStamp(23, 59, 59, n % 1000, 8, 8, 2024), 3),
                                FIX::OrdType('2'));
        m.getHeader().setField(FIX::SenderCompID("BALLAST"));
        m.getHeader().setField(FIX::TargetCompID("VENUE"));
        m.getHeader().setField(FIX::MsgSeqNum(100000 + n));
        m.getHeader().setField(FIX::SendingTime(FIX::UtcTimeStamp(23, 59, 59, n % 1000, 8, 8, 2024), 3));
        m.setField(FIX::Symbol("BTCUSDT"));
        m.setField(FIX::TimeInForce('1'));
        m.setField(FIX::OrderQty((1000 + n % 1000) * 0.00001));
        m.setField(FIX::Price((6168599 + n % 1000) * 0.01));
        m.toString(p.out);
        return p.out.size();
    } catch (...) {
        return -1;
    }
}
